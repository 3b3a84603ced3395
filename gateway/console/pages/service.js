// One service: its instances with the orders about them, and its methods.

import { describe } from '../ask.js';
import { attribute, h, keyed, text } from '../dom.js';
import { count, firstLine, plural, rate, time } from '../format.js';
import { figures, line, methodFigures, now } from '../live.js';
import { fares, ordered, problems } from '../model.js';
import { Orders } from '../orders.js';
import { Figures, badge, failing, problemList, stats, table, toMethod } from '../parts.js';

/** The page of `name`. */
export function servicePage(name) {
  const title = h('h1', { tabindex: '-1', text: name });
  const [about, docs, gone] = [h('span', { class: 'faint mono' }), h('p', { class: 'docs' }), h('p', { class: 'failure', role: 'status' })];
  const head = stats(['Calls/s', 'Failed', 'p99 latency', 'Running', 'Since it was loaded']);
  const trouble = problemList(`Problems of ${name}`);
  const instances = table(`Instances of ${name}`, ['Host', ['Version', 'wide'], 'Health', ['Weight', 'number'], 'Orders']);
  const methods = table(`Methods of ${name}`, ['Method', ...Figures.headings]);
  const refused = h('section', { hidden: true });
  const element = h('div', {}, crumbs(name), h('div', { class: 'title' }, title, about), docs, gone, head.element, trouble.element,
    h('h2', { text: 'Methods' }), methods.element, refused, h('h2', { text: 'Instances' }), instances.element);
  const described = new Described(name, () => update());

  const update = () => {
    const service = now.services?.get(name);
    const known = service?.instances ?? [];
    text(gone, now.services && !service ? `There is no service ${name}: no file with that name, or no host that serves it. The page shows it as soon as there is one.` : described.failure);
    described.follow(known);
    const info = described.info;
    text(about, info ? [info.version, `generation ${info.generation.slice(0, 12)}`].filter(Boolean).join(' · ') : '');
    text(docs, info?.docs ?? '');
    showStats(head, name);
    trouble.show(problems().filter((problem) => problem.service === name && problem.tone !== 'plain'));
    keyed(instances.body, known, (instance) => instance.id, makeInstance, updateInstance);
    showMethods(methods.body, name, service, info);
    showRefused(refused, info);
  };
  return { title: name, page: 'services', element, update, leave: () => described.stop() };
}

function crumbs(name) {
  return h('nav', { class: 'crumbs', 'aria-label': 'Where this is' }, h('a', { href: '#/', text: 'Services' }), h('span', { 'aria-current': 'page', text: name }));
}

/** What a host says of a service, asked for again when something of it has changed. */
export class Described {
  info = null;
  failure = '';
  #service;
  #told;
  #of = null;
  #asking = null;

  constructor(service, told) {
    this.#service = service;
    this.#told = told;
  }

  follow(instances) {
    const serving = instances.filter((instance) => instance.generation);
    const of = JSON.stringify(serving.map(({ id, generation, metadata }) => [id, generation, metadata]));
    if (of === this.#of) return;
    this.#of = of;
    if (serving.length) this.#ask();
    else this.info = null;
  }

  stop() {
    this.#asking?.abort();
  }

  async #ask() {
    this.stop();
    const asking = (this.#asking = new AbortController());
    try {
      const info = await describe(this.#service, asking.signal);
      if (asking.signal.aborted) return;
      [this.info, this.failure] = [info, ''];
    } catch (problem) {
      if (asking.signal.aborted) return;
      this.failure = `${problem.title}: ${problem.detail}`;
    }
    this.#told();
  }
}

function showStats(head, name) {
  const { rate: calls, failed, p50, p99, in_flight: running, calls: total, statuses } = figures(name);
  head.show('Calls/s', rate(calls), 'mean of 10 s');
  const kinds = Object.entries(statuses).map(([status, number]) => `${count(number)} ${status}`);
  head.show('Failed', rate(failed), kinds.join(', ') || 'nothing in 10 s');
  head.tone('Failed', failing(figures(name)));
  head.show('p99 latency', time(p99), typeof p50 === 'number' ? `p50 ${time(p50)}` : 'no calls in 10 s');
  head.show('Running', count(running ?? 0), 'calls at this moment');
  head.show('Since it was loaded', count(total ?? 0), 'calls');
}

function showMethods(body, name, service, info) {
  const told = info?.methods ?? service?.methods ?? [];
  keyed(body, told, (method) => method.name, (method) => makeMethod(name, method), (row, method) => {
    text(row.signature, method.wit);
    text(row.docs, method.docs ? firstLine(method.docs.trim()) : '');
    row.numbers.show(methodFigures(name, method.name), line(`method ${name} ${method.name}`));
  });
}

function makeMethod(service, method) {
  const [signature, docs] = [h('code', { class: 'signature' }), h('div', { class: 'faint' })];
  const numbers = new Figures();
  const title = h('th', { scope: 'row' }, h('a', { href: toMethod(service, method.name), text: method.name }), signature, docs);
  return { element: h('tr', {}, title, numbers.cells), signature, docs, numbers };
}

function showRefused(section, info) {
  const refused = info?.refused ?? [];
  section.hidden = !refused.length;
  const item = ({ name, reason }) => [h('dt', { class: 'mono', text: name }), h('dd', { text: reason })];
  section.replaceChildren(h('h2', { text: `${plural(refused.length, 'function')} that cannot be called` }), h('dl', { class: 'refused' }, refused.map(item)));
}

function makeInstance(instance) {
  const fare = badge();
  const orders = new Orders(instance.id);
  const where = h('div', { class: 'faint mono' });
  const [version, weight, said] = [h('td', { class: 'wide' }), h('td', { class: 'number' }), h('div', { class: 'faint' })];
  const title = h('th', { scope: 'row' }, h('span', { class: 'strong', text: instance.host }), where);
  const element = h('tr', {}, title, version, h('td', {}, fare.element), weight, h('td', {}, said, orders.element));
  return { element, fare, orders, where, version, weight, said };
}

function updateInstance(row, instance) {
  const { address, zone, version, generation, weight, operator } = instance;
  text(row.where, zone ? `${address} · zone ${zone}` : address);
  text(row.version, [version, generation].filter(Boolean).join(' · ') || '–');
  row.fare.show(fares(instance));
  text(row.weight, weight);
  text(row.said, ordered(operator) || (now.orders ? '' : 'none'));
  attribute(row.orders.element, 'hidden', !now.orders);
  row.orders.show(instance);
}
