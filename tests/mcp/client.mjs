// The official client for JavaScript, over stdio or HTTP: client.mjs stdio JACKFIELD REGISTRY | http URL; then FOLDER NEW.wasm
import assert from "node:assert/strict";
import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [way, ...rest] = process.argv.slice(2);
const transport = way === "stdio"
  ? new StdioClientTransport({ command: rest.shift(), args: ["mcp", "--registry", rest.shift()], env: process.env })
  : new StreamableHTTPClientTransport(new URL(rest.shift()));
const [folder, plugin] = rest;

const client = new Client({ name: "test", version: "1" });
let changed;
const nextChange = () => new Promise((resolve) => { changed = resolve; });
client.setNotificationHandler(ToolListChangedNotificationSchema, () => changed?.());
await client.connect(transport);
assert.equal(client.getServerVersion().name, "jackfield");

// The client compiles every output schema and holds every result against it.
const names = async () => (await client.listTools()).tools.map((tool) => tool.name);
const tools = (await client.listTools()).tools;
for (const tool of tools) assert.match(tool.name, /^[A-Za-z0-9_-]{1,48}$/);
const sum = await client.callTool({ name: "calc__add", arguments: { a: 1, b: 2 } });
assert.deepEqual([sum.structuredContent, sum.content[0].text], [{ result: 3 }, "3.0"]);
const own = await client.callTool({ name: "calc__div", arguments: { a: 1, b: 0 } });
assert.equal(own.isError, true);
assert.equal(JSON.parse(own.content[1].text).error, "division by zero");
const wrong = await client.callTool({ name: "calc__add", arguments: { a: 1 } });
assert.match(wrong.content[0].text, /not executed; correct the arguments/);
await assert.rejects(client.callTool({ name: "calc__ad" }), /did you mean calc__add\?/);
// Records, variants, tuples, options and errors, by the schemas that were told.
const circle = { circle: { center: { x: 0, y: 0 }, radius: 2 } };
for (const [name, args, expected] of [
  ["bounding-box", { shapes: [circle] }, { min: { x: -2, y: -2 }, max: { x: 2, y: 2 } }],
  ["bounding-box", { shapes: [] }, null],
  ["translate", { shape: { dot: { x: 1, y: 1 } }, by: [1, 2] }, { dot: { x: 2, y: 3 } }],
]) {
  const given = await client.callTool({ name: `shapes__${name}`, arguments: args });
  assert.deepEqual(given.structuredContent, { result: expected }, JSON.stringify(given));
}

// Aborting sends notifications/cancelled; that it ends the call is a scenario of Jackfield's own.
const abort = new AbortController();
abort.abort();
await assert.rejects(client.callTool({ name: "calc__add", arguments: { a: 1, b: 2 } }, undefined, { signal: abort.signal }));

assert.ok(!(await names()).includes("greeter__greet"));
let told = nextChange();
await copyFile(plugin, join(folder, "greeter.wasm"));
while (!(await names()).includes("greeter__greet")) await told.then(() => { told = nextChange(); });
const gone = nextChange();
await rm(join(folder, "greeter.wasm"));
await gone;
while ((await names()).includes("greeter__greet")) await nextChange();
await client.close();
console.log(`javascript over ${way}: ${tools.length} tools, calls, errors and changes as they should be`);
