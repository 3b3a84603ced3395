// Every host, with what it serves and what that costs it.

import { h, keyed, only, text } from '../dom.js';
import { age, bytes, count } from '../format.js';
import { line, now } from '../live.js';
import { fares, hosts } from '../model.js';
import { Figures, badge, empty, table, toService } from '../parts.js';

/** The page. */
export function hostsPage() {
  const headings = ['Host', 'Serves', ...Figures.headings, ['Running', 'number'], ['Memory', 'number wide'], ['Traps', 'number'], ['Up', 'number wide']];
  const list = table('Hosts', headings);
  const nothing = empty('No hosts', h('p', {}, 'A host serves the plugins of a folder: ', h('code', { text: 'jackfield host plugins' })));
  const element = h('div', {}, h('h1', { tabindex: '-1', text: 'Hosts' }), list.element, nothing);
  const update = () => {
    const known = hosts();
    keyed(list.body, known, (host) => host.key, makeRow, updateRow);
    only(known.length || !now.services ? list.element : nothing, list.element, nothing);
  };
  return { title: 'Hosts', page: 'hosts', element, update };
}

function makeRow(host) {
  const fare = badge();
  const zone = h('span', { class: 'faint' });
  const where = h('div', { class: 'faint mono', text: host.address });
  const title = h('th', { scope: 'row' }, h('span', { class: 'strong', text: host.name }), ' ', fare.element, where, zone);
  const serves = h('ul', { class: 'links' });
  const numbers = new Figures();
  const [running, memory, traps, up] = ['number', 'number wide', 'number', 'number wide'].map((kind) => h('td', { class: kind }));
  const element = h('tr', {}, title, h('td', {}, serves), numbers.cells, running, memory, traps, up);
  return { element, fare, zone, serves, numbers, running, memory, traps, up };
}

function updateRow(row, { name, zone, kind, instances, figures }) {
  row.fare.show(fare(instances, kind, figures));
  text(row.zone, zone ? `zone ${zone}` : '');
  keyed(row.serves, instances, (instance) => instance.id, makeLink, updateLink);
  row.numbers.show(figures ?? {}, line(`host ${name}`));
  text(row.running, figures?.in_flight === undefined ? '–' : count(figures.in_flight));
  text(row.memory, bytes(figures?.memory));
  text(row.traps, figures?.traps === undefined ? '–' : count(figures.traps));
  text(row.up, figures?.uptime_s === undefined ? '–' : age(figures.uptime_s));
}

function makeLink(instance) {
  const link = h('a', { href: toService(instance.service), text: instance.service });
  return { element: h('li', {}, link), link };
}

function updateLink({ link }, instance) {
  const [word, tone] = fares(instance);
  link.dataset.tone = tone;
  link.title = word;
}

function fare(instances, kind, figures) {
  if (kind !== 'plugin') return ['outside endpoint', 'plain'];
  if (instances.every((instance) => instance.health === 'draining')) return ['draining', 'doubtful'];
  if (instances.some((instance) => instance.health === 'suspect')) return ['suspect', 'doubtful'];
  return figures?.error ? ['no figures', 'doubtful'] : ['healthy', 'good'];
}
