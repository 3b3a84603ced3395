// What an operator orders of an instance: out of service, drained, its share of calls.

import { order } from './ask.js';
import { attribute, freshId, h, say, text } from './dom.js';
import { ordered } from './model.js';

/** The controls of one instance. */
export class Orders {
  #id;
  #drain = h('button', { type: 'button', class: 'small', onclick: () => this.#send({ drain: !this.#instance.operator?.drain }) });
  #disable = h('button', { type: 'button', class: 'small', onclick: () => this.#send({ disabled: !this.#instance.operator?.disabled }) });
  #weight;
  #clear = h('button', { type: 'button', class: 'small', text: 'Clear', onclick: () => this.#send({ clear: true }) });
  #failure = h('p', { class: 'failure', role: 'alert', hidden: true });
  #instance;

  constructor(id) {
    this.#id = id;
    const field = freshId('weight');
    this.#weight = h('input', { type: 'number', id: field, class: 'small', min: '0', max: '1000000', step: '1', required: true });
    const set = h('button', { class: 'small', text: 'Set' });
    const form = h('form', { class: 'weight', onsubmit: (event) => this.#setWeight(event) },
      h('label', { for: field, text: 'Weight' }), this.#weight, set);
    set.setAttribute('aria-label', `Set the weight of ${id}`);
    this.#clear.setAttribute('aria-label', `Clear every order about ${id}`);
    this.element = h('div', { class: 'orders', role: 'group', 'aria-label': `Orders about ${id}` }, this.#drain, this.#disable, form, this.#clear, this.#failure);
  }

  show(instance) {
    const { drain, disabled } = instance.operator ?? {};
    this.#instance = instance;
    text(this.#drain, drain ? 'Undrain' : 'Drain');
    this.#drain.title = drain ? 'Gives it calls again' : 'It finishes what it has and gets nothing new';
    text(this.#disable, disabled ? 'Enable' : 'Disable');
    this.#disable.title = disabled ? 'Puts it into service again' : 'Takes it out of service';
    attribute(this.#drain, 'aria-label', `${drain ? 'Undrain' : 'Drain'} ${this.#id}`);
    attribute(this.#disable, 'aria-label', `${disabled ? 'Enable' : 'Disable'} ${this.#id}`);
    if (document.activeElement !== this.#weight) this.#weight.value = instance.weight;
    this.#clear.hidden = !ordered(instance.operator);
  }

  #setWeight(event) {
    event.preventDefault();
    this.#send({ weight: this.#weight.valueAsNumber });
  }

  async #send(wish) {
    this.#failure.hidden = true;
    this.element.setAttribute('aria-busy', 'true');
    try {
      const holds = await order({ instance: this.#id, ...wish });
      say(`${this.#id}: ${ordered(holds) || 'nothing ordered'}`);
    } catch (problem) {
      text(this.#failure, `${problem.title}: ${problem.detail}`);
      this.#failure.hidden = false;
    } finally {
      this.element.removeAttribute('aria-busy');
    }
  }
}
