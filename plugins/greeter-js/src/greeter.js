// The small world that exists in every language, in JavaScript. Documented in ../greeter/wit/greeter.wit.

export function greet(name, greeting) {
  // An absent option arrives as null or undefined, depending on the tool's version.
  return `${greeting ?? "Hello"}, ${name}!`;
}

export function greetAll(names) {
  return names.map((name) => greet(name));
}

export function add(a, b) {
  return (a + b) | 0;
}

export function language() {
  return "JavaScript";
}
