// Calls methods through the HTTP gateway: node gateway.mjs [URL]

const gateway = process.argv[2] ?? "http://127.0.0.1:8080";

class CallFailed extends Error {
  // `problem` is the gateway's problem document (RFC 9457).
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

// `args` is an array, by position, or an object, by name.
async function call(service, method, args, timeout = "10s") {
  const answer = await fetch(`${gateway}/call/${service}/${method}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Jackfield-Timeout": timeout },
    body: JSON.stringify(args),
  });
  const json = await answer.json();
  if (!answer.ok) throw new CallFailed(json);
  return json;
}

console.log(await call("greeter", "greet", { name: "Ada" }));
console.log("40 + 2 =", await call("greeter", "add", [40, 2], "500ms"));
try {
  await call("calc", "div", [1, 0]);
} catch (failed) {
  // 422 alone has the method's own error; `executed` says whether to try again.
  console.log("1 / 0:", failed.problem.error);
}
