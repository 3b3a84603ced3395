// The arguments of a method: a form made from their schema, or their JSON as it is.

import { freshId, h, only, text } from './dom.js';
import { Invalid, Record } from './fields.js';

/** What a method is called with. */
export class Arguments {
  #fields;
  #names;
  #changed;
  #isRaw = false;
  #raw;
  #form;
  #text;
  #failure = h('p', { class: 'failure', role: 'alert' });

  constructor(schema, changed) {
    this.#names = Object.keys(schema.properties ?? {});
    this.#changed = changed;
    this.#fields = new Record(schema, '');
    this.#fields.element.classList.add('top');
    this.#form = h('div', {}, this.#names.length ? this.#fields.element : h('p', { class: 'faint', text: 'Takes no arguments.' }));
    this.#text = h('textarea', { id: freshId('json'), rows: '8', class: 'mono', spellcheck: 'false' });
    const label = h('label', { for: this.#text.id, text: 'Arguments as JSON: an object by name, or an array by position' });
    this.#raw = h('div', { class: 'field', hidden: true }, label, this.#text);
    this.element = h('div', { class: 'arguments' }, this.#names.length ? this.#switch() : null, this.#form, this.#raw, this.#failure);
    this.element.addEventListener('input', () => this.#changed());
    this.element.addEventListener('structure', () => this.#changed());
  }

  /** The arguments as JSON; `null` when something is wrong, which is then shown, unless nobody has asked for them yet. */
  json({ isQuiet = false } = {}) {
    if (!isQuiet) text(this.#failure, '');
    try {
      return this.#isRaw ? this.#checkedText() : JSON.stringify(this.#fields.read());
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      if (isQuiet) return null;
      if (error.field) error.field.fail(error.message);
      else text(this.#failure, error.message);
      return null;
    }
  }

  /** Shows what a host found wrong beside the field that it means: `at $.p.x: expected f64`. */
  blame(detail) {
    const [, path, wrong] = /at \$([^\s:]*): (.*)/s.exec(detail) ?? [];
    if (wrong === undefined || this.#isRaw) return;
    // The nearest that can be shown: a form has one field for all of a list of bytes.
    let at = path;
    while (at) {
      const field = this.#fields.find(at);
      if (field?.fail) return field.fail(wrong);
      at = at.replace(/(\.[^.[]*|\[[^[]*)$/, '');
    }
  }

  #checkedText() {
    const typed = this.#text.value.trim() || '{}';
    let value;
    try {
      value = JSON.parse(typed);
    } catch (error) {
      throw new Invalid(null, `This is not JSON: ${error.message}`);
    }
    if (typeof value !== 'object' || value === null) throw new Invalid(null, 'Write an object {…} with arguments by name, or an array […] by position.');
    // As it was typed: its numbers may have more digits than this program keeps.
    return typed;
  }

  #switch() {
    const name = freshId('as');
    const choice = (value, label, isChosen) => h('label', {}, h('input', { type: 'radio', name, value, checked: isChosen, onchange: () => this.#turn(value === 'json') }), h('span', { text: label }));
    return h('fieldset', { class: 'switch' }, h('legend', { class: 'unseen', text: 'How to write the arguments' }), choice('form', 'Form', true), choice('json', 'JSON', false));
  }

  #turn(toRaw) {
    text(this.#failure, '');
    if (toRaw) {
      this.#text.value = JSON.stringify(this.#fields.read({ isLenient: true }), null, 2);
    } else {
      try {
        const value = JSON.parse(this.#checkedText());
        this.#fields.set(Array.isArray(value) ? Object.fromEntries(value.map((one, at) => [this.#names[at], one])) : value);
      } catch (error) {
        text(this.#failure, `The form shows what was in it before. ${error.message}`);
      }
    }
    this.#isRaw = toRaw;
    only(toRaw ? this.#raw : this.#form, this.#raw, this.#form);
    this.#changed();
  }
}
