// Requests to the gateway, and what it answers when it does not do what was asked.

/** What a host says of a service. Throws the problem document. */
export async function describe(service, signal) {
  const answer = await reach(`../services/${encodeURIComponent(service)}`, { signal });
  return answer.json();
}

/** Orders something about an instance; what holds of it then. Throws the problem document. */
export async function order(body) {
  const answer = await reach('orders', { method: 'POST', headers: JSON_BODY, body: JSON.stringify(body) });
  return answer.json();
}

/** Calls a method. Throws the problem document, with how long it took. */
export async function call(service, method, { args, deadline, isIdempotent, signal }) {
  const headers = { ...JSON_BODY };
  if (deadline) headers['Jackfield-Timeout'] = deadline;
  if (isIdempotent) headers['Jackfield-Idempotent'] = 'true';
  const began = performance.now();
  try {
    const answer = await reach(`..${callPath(service, method)}`, { method: 'POST', headers, body: args, signal });
    const value = await answer.text();
    const took = performance.now() - began;
    const of = (name) => answer.headers.get(name);
    return { value, took, host: of('jackfield-host'), generation: of('jackfield-generation'), attempts: Number(of('jackfield-attempts')) };
  } catch (problem) {
    throw Object.assign(problem, { took: performance.now() - began });
  }
}

/** Where a method is called. */
export const callPath = (service, method) => `/call/${encodeURIComponent(service)}/${encodeURIComponent(method)}`;

/** An answer that is what was asked for. */
async function reach(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw { title: 'You stopped waiting', detail: 'The method was told to end, too.', executed: 'unknown' };
    throw { title: 'The gateway does not answer', detail: `${error.message}. Is it still running?`, executed: 'unknown' };
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => null);
  throw problem ?? { title: `The gateway answered ${answer.status}`, detail: 'without saying why.', executed: 'unknown' };
}

const JSON_BODY = { 'Content-Type': 'application/json' };
