// Parts that several pages have.

import { Line } from './chart.js';
import { attribute, h, keyed, text } from './dom.js';
import { percent, rate, time } from './format.js';

/** The way to a service. */
export const toService = (service) => `#/services/${encodeURIComponent(service)}`;

/** The way to a method. */
export const toMethod = (service, method) => `${toService(service)}/methods/${encodeURIComponent(method)}`;

/** A word with a dot before it, in a tone that the word says, too. */
export function badge() {
  const element = h('span', { class: 'badge' });
  return {
    element,
    show([word, tone]) {
      text(element, word);
      attribute(element, 'data-tone', tone);
    },
  };
}

/** A table with a caption for those who do not see it; headings are texts or `[text, class]`. */
export function table(caption, headings) {
  const body = h('tbody');
  const cell = (heading) => {
    const [label, kind] = [heading].flat();
    return h('th', { scope: 'col', class: kind ?? null, text: label });
  };
  const grid = h('table', {}, h('caption', { class: 'unseen', text: caption }), h('thead', {}, h('tr', {}, headings.map(cell))), body);
  // What may be wider than the page is moved by the keyboard, too.
  const element = h('div', { class: 'grid', role: 'region', 'aria-label': caption, tabindex: '0' }, grid);
  return { element, body };
}

/** The cells of calls: a line, calls a second, failures, latencies. */
export class Figures {
  #line = new Line(96, 24);
  #calls = h('span', { class: 'number' });
  #failed = h('td', { class: 'number' });
  #p50 = h('td', { class: 'number wide' });
  #p99 = h('td', { class: 'number' });

  static headings = [['Calls/s', 'number'], ['Failed', 'number'], ['p50', 'number wide'], ['p99', 'number']];

  constructor() {
    const calls = h('td', { class: 'calls' }, this.#line.element, this.#calls);
    this.cells = [calls, this.#failed, this.#p50, this.#p99];
  }

  show(figures, line) {
    this.#line.draw(line?.calls, line?.failed);
    text(this.#calls, rate(figures.rate));
    const share = figures.rate ? figures.failed / figures.rate : 0;
    text(this.#failed, figures.rate ? percent(share) : '–');
    attribute(this.#failed, 'data-tone', failing(figures));
    text(this.#p50, time(figures.p50));
    text(this.#p99, time(figures.p99));
  }
}

/** The tone of failures: a method's own errors and wrong arguments are nobody's fault here. */
export function failing({ failed, faults }) {
  if (!failed) return null;
  return faults ? 'bad' : 'doubtful';
}

/** A row of large numbers. */
export function stats(names) {
  const made = Object.fromEntries(names.map((name) => [name, { value: h('dd'), hint: h('dd', { class: 'hint' }) }]));
  const pair = (name) => h('div', {}, h('dt', { text: name }), made[name].value, made[name].hint);
  return {
    element: h('dl', { class: 'stats' }, names.map(pair)),
    show(name, value, hint = '') {
      text(made[name].value, value);
      text(made[name].hint, hint);
    },
    tone: (name, tone) => attribute(made[name].value, 'data-tone', tone),
    add: (name, element) => made[name].hint.replaceWith(element),
  };
}

/** What somebody should look at, as a list. */
export function problemList(label) {
  const element = h('ul', { class: 'problems', 'aria-label': label });
  const make = (problem) => {
    const where = problem.service
      ? h('a', { href: toService(problem.service), text: problem.service })
      : h('span', { text: problem.host });
    const kind = badge();
    kind.show([problem.kind, problem.tone]);
    const [on, reason, effect] = [h('span', { class: 'faint' }), h('p', { class: 'reason' }), h('p', { class: 'faint' })];
    const head = h('div', { class: 'head' }, kind.element, where, on);
    return { element: h('li', { 'data-tone': problem.tone }, head, reason, effect), on, reason, effect };
  };
  const update = ({ on, reason, effect }, problem) => {
    text(on, problem.service ? `on ${problem.host}` : '');
    text(reason, problem.reason);
    text(effect, problem.effect ?? '');
  };
  return { element, show: (problems) => keyed(element, problems, (problem) => problem.key, make, update) };
}

/** What there is instead of an empty list. */
export function empty(title, ...lines) {
  return h('div', { class: 'empty' }, h('h2', { text: title }), lines.map((line) => (typeof line === 'string' ? h('p', { text: line }) : line)));
}

