// The functions that wit/plugin.wit promises. Names in camelCase; an error of the method is thrown.

export function greet(name, greeting) {
  return `${greeting ?? "Hello"}, ${name}!`;
}

export function divide(a, b) {
  if (b === 0) throw "division by zero";
  const quotient = Math.trunc(a / b);
  if (quotient > 0x7fffffff) throw "the result has more than 32 bits";
  return quotient;
}
