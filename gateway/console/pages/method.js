// One method: what it takes and gives, how it fares, and a form to try it.

import { arrangeParams } from '../arrange.js';
import { call, callPath } from '../ask.js';
import { Line } from '../chart.js';
import { h, say, text } from '../dom.js';
import { count, rate, time } from '../format.js';
import { Arguments } from '../form.js';
import { line, methodFigures, now } from '../live.js';
import { failing, stats, toService } from '../parts.js';
import { Outcome } from '../outcome.js';
import { Described } from './service.js';

/** The page of `method` of `service`. */
export function methodPage(service, name) {
  const [signature, docs, gone] = [h('pre', { class: 'signature' }), h('p', { class: 'docs' }), h('p', { class: 'failure', role: 'status' })];
  const head = stats(['Calls/s', 'Failed', 'p50 latency', 'p99 latency', 'Running']);
  const all = new Line(220, 40);
  head.add('Calls/s', h('dd', { class: 'large-line' }, all.element));
  const place = h('div', { class: 'trial' });
  const described = new Described(service, () => update());
  const element = h('div', {}, crumbs(service, name), h('div', { class: 'title' }, h('h1', { tabindex: '-1', text: name })), signature, docs, gone, head.element, place);
  let trial = null;

  const update = () => {
    described.follow(now.services?.get(service)?.instances ?? []);
    const { info } = described;
    const method = info?.methods.find((one) => one.name === name || one.qualified === name);
    const missing = info && !method ? `${service} has no method ${name} any more.` : '';
    const nobody = now.services && !info && !now.services.get(service)?.available ? `Nobody serves ${service} now.` : '';
    text(gone, missing || described.failure || nobody);
    if (method) {
      text(signature, method.wit);
      text(docs, method.docs?.trim() ?? '');
      const schema = JSON.stringify(method.params_schema);
      // A new version with the same parameters leaves what was typed.
      if (trial?.schema !== schema) {
        trial = new Trial(service, method, schema);
        place.replaceChildren(trial.element);
      }
    }
    showStats(head, all, service, name);
  };
  return { title: `${service}.${name}`, page: 'services', element, update, leave: () => described.stop() };
}

function crumbs(service, method) {
  const to = (href, label) => h('a', { href, text: label });
  return h('nav', { class: 'crumbs', 'aria-label': 'Where this is' }, to('#/', 'Services'), to(toService(service), service), h('span', { 'aria-current': 'page', text: method }));
}

function showStats(head, all, service, name) {
  const { rate: calls, failed, p50, p99, in_flight: running, calls: total, statuses } = methodFigures(service, name);
  const its = line(`method ${service} ${name}`);
  all.draw(its?.calls, its?.failed);
  head.show('Calls/s', rate(calls));
  const kinds = Object.entries(statuses ?? {}).map(([status, number]) => `${count(number)} ${status}`);
  head.show('Failed', rate(failed), kinds.join(', ') || 'nothing in 10 s');
  head.tone('Failed', failing(methodFigures(service, name)));
  head.show('p50 latency', time(p50), 'on the host');
  head.show('p99 latency', time(p99), typeof p99 === 'number' ? 'of the last 10 s' : 'no calls in 10 s');
  head.show('Running', count(running ?? 0), `${count(total ?? 0)} calls since it was loaded`);
}

/** The form, and what came of it. */
class Trial {
  #service;
  #method;
  #arguments;
  #outcome = new Outcome();
  #deadline = h('input', { type: 'text', id: 'deadline', class: 'short', placeholder: 'the service’s', autocomplete: 'off', spellcheck: 'false' });
  #idempotent = h('input', { type: 'checkbox', id: 'idempotent' });
  #send = h('button', { class: 'main', text: 'Call' });
  #stop = h('button', { type: 'button', text: 'Stop', hidden: true });
  #command = h('code');
  #running = null;

  constructor(service, method, schema) {
    [this.#service, this.#method, this.schema] = [service, method, schema];
    this.#arguments = new Arguments(arrangeParams(method.params_schema, method.signature), () => this.#showCommand());
    this.#stop.addEventListener('click', () => this.#running?.abort());
    const options = h('div', { class: 'options' },
      h('label', { for: 'deadline', text: 'Deadline' }), this.#deadline,
      h('label', { class: 'check' }, this.#idempotent, 'Running it twice does no harm'));
    const copy = h('button', { type: 'button', class: 'small', text: 'Copy', 'aria-label': 'Copy the command', onclick: () => this.#copy() });
    const form = h('form', { novalidate: true, onsubmit: (event) => this.#submit(event) }, h('h2', { text: 'Try it' }),
      this.#arguments.element, options, h('div', { class: 'actions' }, this.#send, this.#stop, h('span', { class: 'faint hint' }, h('kbd', { text: 'Ctrl' }), ' + ', h('kbd', { text: 'Enter' }))));
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit(this.#send);
    });
    const command = h('div', { class: 'command' }, this.#command, copy);
    const shell = h('section', { class: 'shell' }, h('h2', { text: 'The same from a shell' }), command);
    this.element = h('div', { class: 'halves' }, form, this.#outcome.element, shell);
    this.#showCommand();
  }

  async #submit(event) {
    event.preventDefault();
    if (this.#running) return;
    const args = this.#arguments.json();
    if (args === null) return;
    this.#running = new AbortController();
    this.#busy(true);
    try {
      const { signal } = this.#running;
      const wishes = { args, deadline: this.#deadline.value.trim(), isIdempotent: this.#idempotent.checked, signal };
      this.#outcome.value(await call(this.#service, this.#method.name, wishes));
      say('The method answered');
    } catch (problem) {
      this.#outcome.problem(problem);
      this.#arguments.blame(problem.detail ?? '');
      say(`${problem.title}: ${problem.detail}`);
    } finally {
      this.#running = null;
      this.#busy(false);
    }
  }

  #busy(is) {
    this.#stop.hidden = !is;
    this.#send.setAttribute('aria-disabled', is);
    if (is) this.#outcome.waiting();
  }

  #showCommand() {
    const args = this.#arguments.json({ isQuiet: true }) ?? '…';
    const url = location.origin + callPath(this.#service, this.#method.name);
    text(this.#command, `curl --json '${args.replaceAll("'", "'\\''")}' ${url}`);
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#command.textContent);
      say('Copied');
    } catch {
      // Without a secure origin there is no clipboard: then it is marked, to be copied by hand.
      getSelection().selectAllChildren(this.#command);
    }
  }
}
