// The web console in headless Chromium, in front of real hosts: run by tests/console.sh.
//
// Whatever a page says on its console, every broken rule of its content security policy, every request to elsewhere
// and every violation that axe finds fails the test.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

const root = join(import.meta.dirname, '..');
const require = createRequire(join(root, 'target/console/'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const wantsPicture = process.argv.includes('--picture');
const shots = join(root, 'target/console/shots');
mkdirSync(shots, { recursive: true });

const home = mkdtempSync(join(tmpdir(), 'jackfield-console-'));
const { JACKFIELD_REGISTRY: _, ...environment } = process.env;
const processes = [];
const wrong = [];
/** How long anything may take on a busy machine. */
const PATIENCE = 60_000;

/** Starts `jackfield …` and waits for the line that says where it listens. */
function jackfield(words, listening) {
  const child = spawn(process.env.JACKFIELD, words, { env: { ...environment, JACKFIELD_STATE: join(home, 'state') } });
  processes.push(child);
  let said = '';
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${words.join(' ')} says no address: ${said}`)), PATIENCE);
    const hear = (text) => {
      said += text;
      const found = listening.exec(said);
      if (found) resolve((clearTimeout(late), found[1]));
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', () => reject(new Error(`${words.join(' ')} ended: ${said}`)));
  });
}

/** A component into a folder, at once and whole, as an editor or a build saves it. */
function drop(folder, name, from = join(root, `plugins/${name}/${name}.wasm`)) {
  const part = join(home, `${name}.part`);
  if (from instanceof Buffer) writeFileSync(part, from);
  else copyFileSync(from, part);
  renameSync(part, join(folder, `${name}.wasm`));
}

function folder(name) {
  const path = join(home, name);
  mkdirSync(path);
  return path;
}

/** A page of a browser that is watched. */
async function look(browser, base, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('console', (message) => {
    // The browser says there of each answer that is a refusal; of these two they are wanted.
    const isRefusal = /status of 4\d\d/.test(message.text()) && /\/(call\/|console\/orders$)/.test(message.location().url);
    if (!isRefusal) wrong.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => wrong.push(`page: ${error}`));
  page.on('request', (request) => request.url().startsWith(base) || wrong.push(`request to ${request.url()}`));
  await page.goto(base);
  return page;
}

/** What axe finds on the page as it is, in both themes; pictures of both. */
async function inspect(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const { violations } = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
    for (const { id, help, nodes } of violations) {
      wrong.push(`axe, ${name}, ${colorScheme}: ${id}: ${help}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`);
    }
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: join(shots, `${name}-${colorScheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: 'light' });
  console.log(`  ${name}`);
}

const step = (text) => console.log(`${text} (${(performance.now() / 1000).toFixed(0)} s)`);

async function main() {
  const [a, b] = [folder('host-a'), folder('host-b')];
  const registry = await jackfield(['registry', '-p', '0', '--store', 'memory:'], /listening on ([0-9.:]+)/);
  for (const [name, path] of [['host-a', a], ['host-b', b]]) {
    await jackfield(['host', path, '--name', name, '--registry', registry], /listening on ([0-9.:]+)/);
  }
  const gateway = (...more) => jackfield(['gateway', '-p', '0', '--registry', registry, ...more], /listening on ([0-9.:]+)/);
  const base = `http://${await gateway('--console', 'orders')}/`;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
  try {
    if (wantsPicture) return await picture(browser, base, a, b);
    await loads(browser, base);
    const page = await look(browser, base);
    await drops(page, a, b);
    await calls(page, base);
    await forms(page, base, a);
    await keyboard(page, base);
    await orders(page, base);
    await narrow(browser, base);
    await limits(browser, `http://${await gateway()}/`);
    await developing(browser);
  } finally {
    await browser.close();
  }
}

async function loads(browser, base) {
  step('it is small, and nothing of it comes from elsewhere');
  const context = await browser.newContext();
  const page = await context.newPage();
  const sizes = [];
  page.on('response', (answer) => answer.url().endsWith('/events') || sizes.push(answer.body().then((body) => body.length, () => 0)));
  await page.goto(base);
  await page.getByRole('heading', { name: 'No services yet' }).waitFor({ timeout: PATIENCE });
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  console.log(`  ${sizes.length} files, ${total} bytes`);
  assert.ok(total > 10_000 && total < 200_000, `${total} bytes`);
  await context.close();
}

async function drops(page, a, b) {
  step('what is dropped into a folder appears, and what is bad says why');
  await page.getByRole('heading', { name: 'No services yet' }).waitFor();
  await inspect(page, 'empty');
  for (const name of ['calc', 'greeter', 'text']) drop(a, name);
  for (const name of ['calc', 'greeter', 'shapes']) drop(b, name);
  for (const name of ['calc', 'greeter', 'text', 'shapes']) await page.getByRole('row', { name: new RegExp(`^${name}\\b`) }).waitFor();
  await page.getByRole('row', { name: /^calc.*2 of 2/ }).waitFor();
  drop(b, 'resize', Buffer.from('no component at all'));
  drop(b, 'two words', Buffer.from('no component at all'));
  const problem = page.getByRole('list', { name: 'Problems' }).getByRole('listitem');
  await problem.filter({ hasText: 'resize' }).filter({ hasText: 'Nothing serves under this name.' }).waitFor();
  await page.getByRole('row', { name: /^resize.*rejected/ }).waitFor();
  await inspect(page, 'services');
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: /Problems/ }).click();
  await page.getByRole('heading', { name: 'Problems' }).waitFor();
  await page.getByRole('listitem').filter({ hasText: 'resize' }).waitFor();
  // No service can be called like it, so its host alone tells of it.
  await page.getByRole('listitem').filter({ hasText: 'host-b' }).filter({ hasText: 'two words.wasm' }).waitFor();
  await inspect(page, 'problems');
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Hosts' }).click();
  await page.getByRole('row', { name: /host-a.*healthy/ }).waitFor();
  await page.getByRole('row', { name: /host-b.*\d (s|min)\b/ }).waitFor();
  await inspect(page, 'hosts');
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Services' }).click();
}

async function calls(page, base) {
  step('a service is found, and its methods answer');
  const search = page.getByRole('searchbox');
  const { width } = await search.boundingBox();
  assert.ok(width < 400, `the field to search in is ${width} px wide`);
  await search.fill('sqrt');
  await page.getByRole('link', { name: 'sqrt' }).click();
  await page.getByRole('heading', { name: 'sqrt' }).waitFor();
  assert.equal(page.url(), `${base}console/#/services/calc/methods/sqrt`);
  const answer = page.getByRole('region', { name: 'Answer' });
  const field = page.getByLabel('x', { exact: true });
  await page.getByRole('button', { name: 'Call' }).click();
  await page.getByText('Write a number, NaN, Infinity or -Infinity.').waitFor();
  await inspect(page, 'mistake');
  await field.fill('2');
  await page.getByRole('button', { name: 'Call' }).click();
  await answer.getByText('1.4142135623730951').waitFor();
  await answer.getByText('host-').waitFor();
  await field.fill('-1');
  await page.getByRole('button', { name: 'Call' }).click();
  await answer.getByText('The method returned its own error').waitFor();
  await inspect(page, 'method');
  await page.getByRole('radio', { name: 'JSON' }).check();
  await page.getByRole('textbox', { name: /Arguments as JSON/ }).fill('["nine"]');
  await page.getByRole('button', { name: 'Call' }).click();
  await answer.getByText('expected f64').waitFor();
  await page.getByRole('link', { name: 'calc' }).click();
  await page.getByRole('row', { name: /^sqrt/ }).waitFor();
  // Two calls ran: the host counts them, and the page shows it within seconds.
  await page.locator('.stats').getByText(/^[1-9]/).first().waitFor();
  await inspect(page, 'service');
}

async function forms(page, base, a) {
  step('forms have a field for every type');
  drop(a, 'echo', join(root, 'plugins/fixtures/echo/echo.wasm'));
  const answer = page.getByRole('region', { name: 'Answer' });
  const send = async (expected) => {
    await page.getByRole('button', { name: 'Call' }).click();
    await answer.getByText('ok', { exact: true }).waitFor();
    const given = await answer.getByLabel('The result').textContent();
    assert.deepEqual(JSON.parse(given), expected);
  };
  const open = async (method) => {
    await page.goto(`${base}console/#/services/echo/methods/${method}`);
    await page.getByRole('heading', { name: method, exact: true }).waitFor();
    await page.getByRole('button', { name: 'Call' }).waitFor();
  };
  const group = (name) => page.getByRole('group', { name });

  await open('echo-person');
  await page.getByLabel('name', { exact: true }).fill('Ada');
  await page.getByLabel('age', { exact: true }).fill('36');
  await page.getByLabel(/^email/).check();
  await page.getByRole('textbox', { name: 'email' }).fill('ada@example.org');
  await page.getByRole('button', { name: 'Add one to tags' }).click();
  await group(/^tags/).getByRole('textbox').fill('first');
  await group(/^home/).getByLabel('x', { exact: true }).fill('1.5');
  await group(/^home/).getByLabel('y', { exact: true }).fill('-Infinity');
  await send({ name: 'Ada', age: 36, email: 'ada@example.org', tags: ['first'], home: { x: 1.5, y: '-Infinity' } });
  await inspect(page, 'form');

  await open('echo-shape');
  await page.getByLabel(': which case').selectOption('pair');
  await page.getByLabel('pair 1').fill('200');
  await page.getByLabel('pair 2').fill('18446744073709551615');
  await send({ pair: [200, '18446744073709551615'] });
  await page.getByLabel(': which case').selectOption('nothing');
  await send('nothing');

  await open('echo-rights');
  await page.getByLabel('read').check();
  await page.getByLabel('execute').check();
  await send(['read', 'execute']);

  await open('echo-color');
  await page.getByRole('combobox').selectOption('dark-blue');
  await send('dark-blue');

  await open('echo-bytes');
  await page.getByRole('textbox', { name: 'v' }).fill('héllo');
  await send({ base64: Buffer.from('héllo').toString('base64') });

  await open('echo-nested-option');
  await page.getByLabel(/^v/).check();
  await page.getByLabel(/^some/).check();
  await page.getByRole('textbox', { name: 'some' }).fill('7');
  await send({ some: 7 });

  await open('echo-result-ok');
  await page.getByLabel(': which case').selectOption('ok');
  await page.getByRole('textbox', { name: 'ok' }).fill('4294967295');
  await send(4294967295);

  await open('echo-bool');
  await page.getByRole('checkbox', { name: 'v' }).check();
  await send(true);

  await open('mixed');
  const labels = await page.locator('.arguments .top > *:not(legend)').evaluateAll((all) => all.map((one) => one.querySelector('label, legend').textContent.trim()[0]));
  assert.deepEqual(labels, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']);
  await open('options');
  assert.match(await page.locator('.arguments').innerText(), /first[^]*must[^]*middle[^]*last/);

  // What a form cannot know, a host says; and it is shown beside the field.
  await open('echo-bytes');
  await page.getByLabel('v, written as').selectOption('base64');
  await page.getByRole('textbox', { name: 'v' }).fill('QR==');
  await page.getByRole('button', { name: 'Call' }).click();
  await page.locator('.field .failure').getByText('base64').waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'v' }).getAttribute('aria-invalid'), 'true');
}

async function keyboard(page, base) {
  step('it can be used by keyboard alone');
  await page.goto(`${base}console/#/`);
  await page.reload();
  await page.getByRole('row', { name: /^calc/ }).waitFor();
  const key = (name) => page.keyboard.press(name);
  const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.id);
  await key('Tab');
  assert.equal(await focused(), 'Skip to the page');
  await key('Enter');
  assert.match(await page.evaluate(() => document.activeElement.id), /^main$/);
  await key('/');
  await page.waitForFunction(() => document.activeElement.id === 'filter');
  await page.keyboard.type('calc add');
  for (let at = 0; at < 9 && (await focused()) !== 'add'; at += 1) await key('Tab');
  assert.equal(await focused(), 'add');
  await key('Enter');
  await page.waitForFunction(() => document.activeElement.tagName === 'H1' && document.activeElement.textContent === 'add');
  await page.getByRole('button', { name: 'Call' }).waitFor();
  for (let at = 0; at < 9 && !/^field/.test(await page.evaluate(() => document.activeElement.id)); at += 1) await key('Tab');
  await page.keyboard.type('40');
  await key('Tab');
  await page.keyboard.type('2');
  await key('Control+Enter');
  await page.getByRole('region', { name: 'Answer' }).getByText('42.0').waitFor();
}

async function orders(page, base) {
  step('an instance is ordered drained, weighted, and let go');
  await page.goto(`${base}console/#/services/greeter`);
  const row = page.getByRole('row', { name: /host-b/ });
  await row.getByRole('button', { name: 'Drain greeter@host-b' }).click();
  await row.getByText('draining').waitFor();
  await row.getByText('drained').waitFor();
  await row.getByLabel('Weight', { exact: true }).fill('7');
  await row.getByRole('button', { name: /Set the weight/ }).click();
  await row.getByText('drained, weight 7').waitFor();
  await inspect(page, 'orders');
  await row.getByLabel('Weight', { exact: true }).fill('2000000');
  await row.getByLabel('Weight', { exact: true }).evaluate((field) => field.removeAttribute('max'));
  // The registry's refusal is shown where the order was given.
  await row.getByRole('button', { name: /Set the weight/ }).click();
  await row.getByText(/weight.*1000000|1,000,000/).waitFor();
  await row.getByRole('button', { name: /Clear every order/ }).click();
  await row.getByText('healthy').waitFor();
  await page.getByRole('button', { name: 'Disable greeter@host-a' }).click();
  await page.getByRole('row', { name: /host-a/ }).getByText('disabled').first().waitFor();
  await page.getByRole('button', { name: 'Enable greeter@host-a' }).click();
  await page.getByRole('row', { name: /host-a/ }).getByText('healthy').waitFor();
}

async function narrow(browser, base) {
  step('it fits a narrow window');
  const page = await look(browser, base, { viewport: { width: 600, height: 860 } });
  for (const [name, at] of [['services', ''], ['service', 'services/calc'], ['method', 'services/calc/methods/add'], ['hosts', 'hosts']]) {
    await page.goto(`${base}console/#/${at}`);
    await page.locator('.calls, .stats').first().waitFor();
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `${name} is ${beyond} px wider than the window`);
    await inspect(page, `${name}-narrow`);
  }
  await page.context().close();
}

async function limits(browser, base) {
  step('a gateway that takes no orders shows no controls');
  const page = await look(browser, base);
  await page.goto(`${base}console/#/services/calc`);
  await page.getByRole('row', { name: /host-a.*healthy/ }).waitFor();
  assert.equal(await page.getByRole('button', { name: /Drain|Disable|Set/ }).count(), 0);
  await page.context().close();
}

async function developing(browser) {
  step('dev has a console with orders, and it notices when dev ends');
  const plugins = folder('plugins');
  drop(plugins, 'greeter');
  const words = ['dev', plugins, '-p', '0'];
  const base = `${await jackfield(words, /in a browser: (http:\S+)/)}`;
  const page = await look(browser, base);
  await page.getByRole('link', { name: 'greeter' }).click();
  await page.getByRole('button', { name: 'Drain greeter@dev' }).waitFor();
  processes.at(-1).removeAllListeners('exit');
  const before = wrong.length;
  processes.at(-1).kill();
  await page.getByRole('alert').getByText('The gateway does not answer').waitFor();
  await page.context().close();
  // The browser tells on its console that it cannot connect.
  for (const one of wrong.splice(before)) if (!/ERR_|Failed to load/.test(one)) wrong.push(one);
}

/** Calls of several kinds, as many as a small machine has to spare. */
async function picture(browser, base, a, b) {
  step('a picture, with a minute of calls');
  for (const name of ['calc', 'greeter', 'text']) drop(a, name);
  for (const name of ['calc', 'greeter', 'shapes']) drop(b, name);
  drop(b, 'resize', Buffer.from('no component at all'));
  let isOver = false;
  const call = (path, args) => fetch(`${base}call/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(args) }).then((answer) => answer.text());
  const kinds = [
    [40, () => call('calc/add', [1, Math.random()])], [16, () => call('greeter/greet', ['Ada'])], [8, () => call('text/slug', ['The quick brown fox'])],
    [6, () => call('calc/div', [1, Math.random() < 0.03 ? 0 : 3])], [4, () => call('shapes/area', [{ circle: { center: { x: 0, y: 0 }, radius: 2 } }])],
  ];
  const began = performance.now();
  const caller = async ([perSecond, one]) => {
    while (!isOver) {
      const swing = 1 + 0.45 * Math.sin((performance.now() - began) / 7000);
      await Promise.all([one(), pause((1000 / perSecond / swing) * (0.5 + Math.random()))]);
    }
  };
  const callers = kinds.flatMap((kind) => [caller(kind), caller(kind)]);
  const page = await look(browser, base, { viewport: { width: 1280, height: 640 } });
  await pause(63_000);
  await page.screenshot({ path: join(root, 'docs/console.png') });
  isOver = true;
  await Promise.all(callers);
  await page.context().close();
}

try {
  await main();
  assert.deepEqual(wrong, []);
  console.log('the console holds what it promises');
} finally {
  for (const child of processes) child.kill();
  rmSync(home, { recursive: true, force: true });
}
