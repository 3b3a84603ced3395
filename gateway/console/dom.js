// Elements, made and kept up to date. Text is only ever set as text: what plugins, hosts and operators wrote is never markup.

const SVG = 'http://www.w3.org/2000/svg';

/** An element. Of `attributes`, `text` is its text and `onX` handles the event X; nothing is made of null and false. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') element.textContent = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets a text, if it is another one: nothing is told to assistive technology that has not changed. */
export function text(element, value) {
  const wanted = String(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets or takes away an attribute, if that changes something. */
export function attribute(element, name, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Has `parent` hold one element for each item, in their order. An element stays with its key, and keeps the focus. */
export function keyed(parent, items, keyOf, make, update) {
  const known = parent.keyed ?? (parent.keyed = new Map());
  const wanted = new Set();
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    wanted.add(key);
    let part = known.get(key);
    if (!part) known.set(key, (part = make(item)));
    if (part.element === next) next = next.nextElementSibling;
    else parent.insertBefore(part.element, next);
    update?.(part, item);
  }
  for (const [key, part] of known) {
    if (wanted.has(key)) continue;
    part.element.remove();
    known.delete(key);
  }
}

let lastId = 0;

/** An id that nothing else on the page has. */
export function freshId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** Tells those who do not see the page. */
export function say(message) {
  document.getElementById('said').replaceChildren(h('p', { text: message }));
}

/** Shows one of several elements. */
export function only(wanted, ...elements) {
  for (const element of elements) element.hidden = element !== wanted;
}
