// What came of a call.

import { h, text } from './dom.js';
import { plural, time } from './format.js';

/** The place where it is shown. */
export class Outcome {
  #status = h('span', { class: 'badge' });
  #took = h('span', { class: 'faint' });
  #facts = h('dl', { class: 'facts' });
  #detail = h('p', { class: 'reason' });
  #value = h('pre', { class: 'value', tabindex: '0', 'aria-label': 'The result' });
  #hint = h('p', { class: 'faint', text: 'The answer will be here.' });

  constructor() {
    this.element = h('section', { class: 'outcome', 'aria-label': 'Answer' }, h('div', { class: 'head' }, h('h2', { text: 'Answer' }), this.#status, this.#took), this.#hint, this.#detail, this.#value, this.#facts);
    this.#show({ hint: this.#hint.textContent });
  }

  /** It runs. */
  waiting() {
    this.#show({ status: ['running', 'plain'], hint: 'Waiting for the answer…' });
  }

  /** It answered. */
  value({ value, took, host, generation, attempts }) {
    const facts = { Host: host, Generation: generation?.slice(0, 12), Attempts: attempts > 1 ? attempts : null };
    this.#show({ status: ['ok', 'good'], took, value, facts });
  }

  /** It failed. */
  problem({ title, detail, jackfield_status: status, executed, error, attempts = [], retry_after_ms: pause, took }) {
    const ran = { no: 'no: it may be repeated', yes: 'yes', unknown: 'nobody knows' };
    const last = attempts.at(-1);
    const facts = {
      'Did it run?': ran[executed],
      Host: last?.host,
      Attempts: attempts.length > 1 ? attempts.length : null,
      'Try again in': pause ? time(pause) : null,
    };
    const isOwn = status === 'application';
    const value = error === undefined ? undefined : JSON.stringify(error);
    this.#show({ status: [status ?? 'failed', isOwn ? 'doubtful' : 'bad'], took, value, facts, detail: isOwn ? title : `${title}. ${detail ?? ''}` });
  }

  #show({ status, took, value, facts = {}, detail, hint }) {
    this.#status.hidden = !status;
    if (status) [this.#status.textContent, this.#status.dataset.tone] = status;
    text(this.#took, took === undefined ? '' : `${time(took)} to this page and back`);
    text(this.#detail, detail ?? '');
    this.#value.hidden = value === undefined;
    text(this.#value, value === undefined ? '' : pretty(value));
    text(this.#hint, hint ?? (value?.length > LONGEST ? `The answer has ${plural(value.length, 'character')}: the first ${LONGEST} are shown.` : ''));
    const told = Object.entries(facts).filter(([, fact]) => fact !== null && fact !== undefined && fact !== '');
    this.#facts.replaceChildren(...told.flatMap(([name, fact]) => [h('dt', { text: name }), h('dd', { text: fact })]));
  }
}

/** JSON with line breaks. Its numbers and the order of its fields stay as the host wrote them: it is not read and written anew. */
export function pretty(json) {
  if (json.length <= SHORT) return json;
  let [depth, out] = [0, ''];
  const feed = () => `\n${'  '.repeat(depth)}`;
  for (const [token] of json.slice(0, LONGEST).matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      depth += 1;
      out += token + feed();
    } else if (token === '}' || token === ']') {
      depth -= 1;
      out += feed() + token;
    } else if (token === ',') out += token + feed();
    else if (token === ':') out += ': ';
    else out += token[0] === '[' ? token.replaceAll(/,\s*/g, ', ') : token;
  }
  return out;
}

/** A string; a short list without strings, lists and objects; a bracket, comma or colon; anything else. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"?|\[[^[\]{}"]{0,70}\]|\{\s*\}|[{}[\],:]|[^\s{}[\],:"]+/gs;
/** What fits in a line stays in one. */
const SHORT = 60;
/** Characters of an answer that are shown: a browser takes long over more. */
const LONGEST = 200_000;
