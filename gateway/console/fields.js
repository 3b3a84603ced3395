// Fields of a form, made from the JSON Schema of WIT types (docs/json-mapping.md): one kind for each way in which a schema is written.
// Each has an `element`, gives its value by `read` (or throws an `Invalid`), takes one by `set`, and finds a field by its path.

import { freshId, h, keyed, only, text } from './dom.js';

/** What was typed is no value. */
export class Invalid extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** The field for a schema. */
export function make(schema, label) {
  const { anyOf, oneOf, type } = schema;
  if (anyOf) {
    if (anyOf.some((one) => one.type === 'null')) return new Option(schema, label);
    if (anyOf.some((one) => one.properties?.base64)) return new Bytes(schema, label);
    if (anyOf.some((one) => one.type === 'number')) return new Float(schema, label);
    if (anyOf.some((one) => one.type === 'integer')) return new Wide(schema, label);
  }
  if (oneOf) return new Choice(schema, label);
  if (type === 'boolean') return new Bool(schema, label);
  if (type === 'integer') return new Whole(schema, label);
  if (type === 'string') return schema.enum ? new Enum(schema, label) : schema.maxLength === 1 ? new Char(schema, label) : new Text(schema, label);
  if (type === 'array') return schema.prefixItems ? new Tuple(schema, label) : schema.uniqueItems ? new Flags(schema, label) : new List(schema, label);
  if (type === 'object') return new Record(schema, label);
  return type === 'null' ? new Nothing() : new Json(schema, label);
}

/** One control with its label, a hint, and room for what is wrong. */
class Leaf {
  constructor(label, control, hint) {
    this.control = control;
    control.id = freshId('field');
    this.failure = h('p', { class: 'failure', id: freshId('failure'), role: 'alert' });
    const hinted = h('span', { class: 'faint hint', id: freshId('hint'), text: hint });
    control.setAttribute('aria-describedby', `${hinted.id} ${this.failure.id}`);
    this.element = h('div', { class: 'field' }, h('label', { for: control.id, text: label }), hinted, control, this.failure);
    this.element.addEventListener('input', () => this.#clear());
  }

  fail(message) {
    text(this.failure, message);
    this.control.setAttribute('aria-invalid', 'true');
    this.control.focus();
  }

  find(path) {
    return path === '' ? this : null;
  }

  #clear() {
    text(this.failure, '');
    this.control.removeAttribute('aria-invalid');
  }
}

/** A control whose text is read by `parse`, which gives `undefined` for what is no value. */
class Typed extends Leaf {
  constructor(label, control, hint, wanted) {
    super(label, control, hint);
    this.wanted = wanted;
  }

  read({ isLenient = false } = {}) {
    const value = this.parse(this.control.value);
    if (value !== undefined) return value;
    if (isLenient) return this.control.value;
    throw new Invalid(this, this.control.value === '' ? `Write ${this.wanted}.` : `This is not ${this.wanted}.`);
  }

  set(value) {
    this.control.value = typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
}

const line = (attributes = {}) => h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes });

class Text extends Typed {
  constructor(schema, label) {
    super(label, h('textarea', { rows: '1', spellcheck: 'false' }), 'text', 'a text');
  }

  parse(typed) {
    return typed;
  }
}

class Char extends Typed {
  constructor(schema, label) {
    super(label, line({ class: 'short', maxlength: '2' }), 'one character', 'one character');
  }

  parse(typed) {
    return [...typed].length === 1 ? typed : undefined;
  }
}

class Whole extends Typed {
  #range;

  constructor({ minimum, maximum }, label) {
    const range = `${minimum.toLocaleString('en')} to ${maximum.toLocaleString('en')}`;
    super(label, line({ inputmode: 'numeric', class: 'short' }), `whole number, ${range}`, `a whole number from ${range}`);
    this.#range = [minimum, maximum];
  }

  parse(typed) {
    const [least, most] = this.#range;
    const number = /^\s*-?\d+\s*$/.test(typed) ? Number(typed) : NaN;
    return number >= least && number <= most ? number : undefined;
  }
}

class Wide extends Typed {
  #range;

  constructor({ anyOf }, label) {
    // The schema's own bounds lose digits in this program.
    const isSigned = anyOf.find((one) => one.type === 'integer').minimum < 0;
    const bits = isSigned ? 63n : 64n;
    super(label, line({ inputmode: 'numeric' }), `whole number of 64 bits, ${isSigned ? 'with a sign' : 'from 0'}`, `a whole number ${isSigned ? 'of 64 bits' : 'from 0, of 64 bits'}`);
    this.#range = [isSigned ? -(2n ** bits) : 0n, 2n ** bits - 1n];
  }

  parse(typed) {
    if (!/^\s*-?\d+\s*$/.test(typed)) return undefined;
    const [number, [least, most]] = [BigInt(typed), this.#range];
    if (number < least || number > most) return undefined;
    return Number.isSafeInteger(Number(number)) ? Number(number) : String(number);
  }
}

class Float extends Typed {
  constructor(schema, label) {
    super(label, line({ inputmode: 'decimal', class: 'short' }), 'number, NaN or ±Infinity', 'a number, NaN, Infinity or -Infinity');
  }

  parse(typed) {
    const wanted = typed.trim();
    if (['NaN', 'Infinity', '-Infinity'].includes(wanted)) return wanted;
    return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(wanted) && Number.isFinite(Number(wanted)) ? Number(wanted) : undefined;
  }
}

class Json extends Typed {
  constructor(schema, label) {
    super(label, h('textarea', { rows: '3', class: 'mono', spellcheck: 'false' }), 'JSON', 'JSON');
  }

  parse(typed) {
    try {
      return JSON.parse(typed);
    } catch {
      return undefined;
    }
  }
}

class Bool extends Leaf {
  constructor(schema, label) {
    super(label, h('input', { type: 'checkbox' }), 'yes or no');
    this.element.classList.add('yes-no');
  }

  read() {
    return this.control.checked;
  }

  set(value) {
    this.control.checked = value === true;
  }
}

class Enum extends Leaf {
  constructor({ enum: names, title }, label) {
    super(label, h('select', {}, names.map((name) => h('option', { value: name, text: name }))), title ?? 'one of these');
  }

  read() {
    return this.control.value;
  }

  set(value) {
    this.control.value = value;
  }
}

class Nothing {
  element = h('p', { class: 'faint', text: 'carries nothing' });

  read() {
    return null;
  }

  set() {}

  find() {
    return null;
  }
}

class Bytes extends Leaf {
  #as;
  #file = h('input', { type: 'file', hidden: true });
  #content = '';

  constructor(schema, label) {
    super(label, h('textarea', { rows: '2', class: 'mono', spellcheck: 'false' }), 'bytes');
    const choices = [['text', 'text, as UTF-8'], ['base64', 'base64'], ['file', 'a file']];
    this.#as = h('select', { 'aria-label': `${label}, written as` }, choices.map(([value, name]) => h('option', { value, text: name })));
    this.#as.addEventListener('input', () => only(this.#as.value === 'file' ? this.#file : this.control, this.#file, this.control));
    this.#file.setAttribute('aria-label', `${label}, the file`);
    this.#file.addEventListener('change', () => this.#take());
    this.control.before(this.#as);
    this.control.after(this.#file);
  }

  read({ isLenient = false } = {}) {
    const typed = this.control.value;
    if (this.#as.value === 'file') return { base64: this.#content };
    if (this.#as.value === 'text') return { base64: base64(new TextEncoder().encode(typed)) };
    const bare = typed.replaceAll(/\s/g, '');
    if (!isLenient && !/^[A-Za-z0-9+/]*={0,2}$/.test(bare)) throw new Invalid(this, 'This is not base64: A to Z, a to z, 0 to 9, + and /.');
    return { base64: bare };
  }

  set(value) {
    this.#as.value = 'base64';
    this.#as.dispatchEvent(new Event('input'));
    this.control.value = Array.isArray(value) ? base64(Uint8Array.from(value)) : (value?.base64 ?? '');
  }

  async #take() {
    const [file] = this.#file.files;
    if (!file) return;
    if (file.size > MOST_BYTES) return this.fail('A call takes 4 MiB in all, and base64 makes a third more of a file.');
    this.#content = base64(new Uint8Array(await file.arrayBuffer()));
    this.element.dispatchEvent(new Event('structure', { bubbles: true }));
  }
}

function base64(bytes) {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}

/** A group of fields. */
const group = (label, hint, ...parts) => h('fieldset', { class: 'group' }, h('legend', {}, h('span', { text: label }), ' ', h('span', { class: 'faint hint', text: hint && hint !== label ? hint : '' })), parts);

/** Fields by name: also the arguments of a method. */
export class Record {
  #fields;

  constructor({ properties, title }, label) {
    this.#fields = Object.entries(properties ?? {}).map(([name, schema]) => [name, make(schema, name)]);
    this.element = group(label, title ?? '', this.#fields.map(([, field]) => field.element));
  }

  read(how) {
    const read = this.#fields.map(([name, field]) => [name, field.read(how), field]);
    // An option may be left out.
    return Object.fromEntries(read.filter(([, value, field]) => !(value === null && field instanceof Option)));
  }

  set(value) {
    for (const [name, field] of this.#fields) {
      if (value && Object.hasOwn(value, name)) field.set(value[name]);
      else if (field instanceof Option) field.set(null);
    }
  }

  find(path) {
    const found = this.#fields.find(([name]) => path === `.${name}` || path.startsWith(`.${name}.`) || path.startsWith(`.${name}[`));
    return found ? found[1].find(path.slice(found[0].length + 1)) : null;
  }
}

class Tuple {
  #fields;

  constructor({ prefixItems, title }, label) {
    this.#fields = prefixItems.map((schema, at) => make(schema, `${label} ${at + 1}`));
    this.element = group(label, title ?? 'in this order', this.#fields.map((field) => field.element));
  }

  read(how) {
    return this.#fields.map((field) => field.read(how));
  }

  set(value) {
    this.#fields.forEach((field, at) => value?.[at] !== undefined && field.set(value[at]));
  }

  find(path) {
    return indexed(this.#fields, path);
  }
}

/** `[index]` and what follows. */
function indexed(fields, path) {
  const [, at, rest] = /^\[(\d+)\](.*)$/s.exec(path) ?? [];
  return fields[at]?.find(rest) ?? null;
}

class List {
  #items = [];
  #schema;
  #label;
  #body = h('div', { class: 'items' });
  #add;

  constructor({ items }, label) {
    [this.#schema, this.#label] = [items, label];
    this.#add = h('button', { type: 'button', class: 'small', text: 'Add one', onclick: () => this.#more().focus() });
    this.#add.setAttribute('aria-label', `Add one to ${label}`);
    this.element = group(label, 'a list', this.#body, this.#add);
  }

  read(how) {
    return this.#items.map(({ field }) => field.read(how));
  }

  set(value) {
    this.#items = [];
    for (const one of Array.isArray(value) ? value : []) this.#push().set(one);
    this.#show();
  }

  find(path) {
    return indexed(this.#items.map(({ field }) => field), path);
  }

  #push() {
    const field = make(this.#schema, this.#label);
    this.#items.push({ field, key: freshId('item') });
    return field;
  }

  /** The first control of the new one. */
  #more() {
    const { element } = this.#push();
    this.#show();
    return element.querySelector('input, textarea, select, button') ?? this.#add;
  }

  #show() {
    const make = (item) => {
      const { field, key } = item;
      const drop = h('button', { type: 'button', class: 'small', text: 'Remove', 'aria-label': `Remove this one from ${this.#label}`, onclick: () => this.#drop(key) });
      return { element: h('div', { class: 'item' }, field.element, drop) };
    };
    keyed(this.#body, this.#items, ({ key }) => key, make);
    this.element.dispatchEvent(new Event('structure', { bubbles: true }));
  }

  #drop(key) {
    this.#items = this.#items.filter((item) => item.key !== key);
    this.#show();
    this.#add.focus();
  }
}

class Flags {
  #boxes;

  constructor({ items, title }, label) {
    this.#boxes = items.enum.map((name) => h('input', { type: 'checkbox', value: name }));
    this.element = group(label, title ?? 'any of these', h('div', { class: 'flags' }, this.#boxes.map((box) => h('label', { class: 'check' }, box, box.value))));
  }

  read() {
    return this.#boxes.filter((box) => box.checked).map((box) => box.value);
  }

  set(value) {
    for (const box of this.#boxes) box.checked = Array.isArray(value) && value.includes(box.value);
  }

  find() {
    return null;
  }
}

/** Made when it is wanted: types may nest deep. */
class Option {
  #box = h('input', { type: 'checkbox' });
  #place = h('div', { class: 'within' });
  #schema;
  #label;
  #field = null;

  constructor({ anyOf }, label) {
    [this.#schema, this.#label] = [anyOf.find((one) => one.type !== 'null'), label];
    this.#box.addEventListener('input', () => this.#turn(this.#box.checked));
    const give = h('label', { class: 'check' }, this.#box, h('span', { text: label }), h('span', { class: 'faint hint', text: 'may be left out' }));
    this.element = h('div', { class: 'option' }, give, this.#place);
  }

  read(how) {
    return this.#box.checked ? this.#field.read(how) : null;
  }

  set(value) {
    this.#box.checked = value !== null && value !== undefined;
    this.#turn(this.#box.checked);
    if (this.#box.checked) this.#field.set(value);
  }

  find(path) {
    return this.#field?.find(path) ?? null;
  }

  #turn(isGiven) {
    if (isGiven) this.#field ??= make(this.#schema, this.#label);
    this.#place.replaceChildren(...(isGiven ? [this.#field.element] : []));
  }
}

/** A variant or a result: one of several cases, some of which carry something. */
class Choice {
  #cases = new Map();
  #select;
  #place = h('div', { class: 'within' });
  #field = null;

  constructor({ oneOf, title }, label) {
    for (const one of oneOf) {
      for (const name of one.enum ?? []) this.#cases.set(name, null);
      for (const [name, schema] of Object.entries(one.properties ?? {})) this.#cases.set(name, schema);
    }
    const hint = this.#cases.has('ok') && this.#cases.has('err') && !title ? 'a result' : (title ?? 'one of these');
    this.#select = h('select', { oninput: () => this.#turn() }, [...this.#cases.keys()].map((name) => h('option', { value: name, text: name })));
    this.#select.setAttribute('aria-label', `${label}: which case`);
    this.element = group(label, hint, this.#select, this.#place);
    this.#turn();
  }

  read(how) {
    const name = this.#select.value;
    return this.#field ? { [name]: this.#field.read(how) } : name;
  }

  set(value) {
    const name = typeof value === 'string' ? value : Object.keys(value ?? {})[0];
    if (!this.#cases.has(name)) return;
    this.#select.value = name;
    this.#turn();
    this.#field?.set(value[name]);
  }

  find(path) {
    const step = `.${this.#select.value}`;
    return path.startsWith(step) ? (this.#field?.find(path.slice(step.length)) ?? null) : null;
  }

  #turn() {
    const schema = this.#cases.get(this.#select.value);
    this.#field = schema ? make(schema, this.#select.value) : null;
    this.#place.replaceChildren(...(this.#field ? [this.#field.element] : []));
  }
}

/** What becomes 4 MiB, the longest arguments, as base64. */
const MOST_BYTES = 3 * 1024 * 1024 - 1024;
