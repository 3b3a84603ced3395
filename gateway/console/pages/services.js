// Every service, with how it fares: the first page.

import { Line } from '../chart.js';
import { attribute, h, keyed, only, text } from '../dom.js';
import { count, percent, plural, rate, time } from '../format.js';
import { figures, line, now } from '../live.js';
import { fares, hosts, problems, services, versions } from '../model.js';
import { Figures, badge, empty, failing, problemList, stats, table, toMethod, toService } from '../parts.js';

/** The page. */
export function servicesPage() {
  const head = stats(['Services', 'Hosts', 'Calls/s', 'Failed', 'p99 latency']);
  const all = new Line(220, 40);
  head.add('Calls/s', h('dd', { class: 'large-line' }, all.element));
  const trouble = problemList('Problems');
  const filter = h('input', { type: 'search', id: 'filter', placeholder: 'Service, method or host', autocomplete: 'off', spellcheck: 'false' });
  const found = h('span', { class: 'faint', role: 'status' });
  const search = h('search', { class: 'filter' }, h('label', { for: 'filter', text: 'Find' }), filter, h('kbd', { text: '/', title: 'The key / leads here' }), found);
  const list = table('Services', ['Service', ['Version', 'wide'], 'Instances', ...Figures.headings]);
  const nothing = empty('No services yet', h('p', {}, 'Copy a ', h('code', { text: '.wasm' }), ' component into the folder of a host: it appears here at once.'),
    h('pre', { text: 'jackfield dev plugins\ncp my-plugin.wasm plugins/' }));
  const unknown = h('p', { class: 'empty', text: 'Nothing fits. Names of services, methods and hosts are looked through.' });
  const waiting = h('p', { class: 'empty', text: 'Waiting for the gateway to tell what there is…' });
  const element = h('div', {}, h('h1', { class: 'unseen', tabindex: '-1', text: 'Services' }), head.element, trouble.element, search, list.element, nothing, unknown, waiting);

  const update = () => {
    const known = services();
    showHead(head, all, known);
    trouble.show(problems().filter((problem) => problem.tone === 'bad').slice(0, PROBLEMS));
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fitting = known.map((service) => ({ service, methods: fits(service, words) })).filter(({ methods }) => methods);
    keyed(list.body, fitting.slice(0, ROWS), ({ service }) => service.service, makeRow, updateRow);
    const instead = !now.services ? waiting : !known.length ? nothing : !fitting.length ? unknown : list.element;
    only(instead, list.element, nothing, unknown, waiting);
    search.hidden = !known.length;
    const rest = fitting.length > ROWS ? ` The first ${ROWS} are shown.` : '';
    text(found, words.length || rest ? `${count(fitting.length)} of ${count(known.length)}.${rest}` : '');
  };
  filter.addEventListener('input', update);
  filter.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && filter.value) {
      filter.value = '';
      update();
    }
  });
  return { title: 'Services', page: 'services', element, update };
}

function showHead(head, all, known) {
  const total = now.pulse?.total ?? {};
  const available = known.filter((service) => service.available).length;
  const everywhere = hosts();
  head.show('Services', count(available), available < known.length ? `${count(known.length - available)} more that nobody serves` : 'all served');
  const silent = everywhere.filter((host) => host.figures?.error).length;
  head.show('Hosts', count(everywhere.length), silent ? `${count(silent)} give no figures` : plural(known.reduce((sum, service) => sum + service.instances.length, 0), 'instance'));
  head.show('Calls/s', rate(total.rate));
  all.draw(line('all')?.calls, line('all')?.failed);
  head.show('Failed', percent(total.rate ? total.failed / total.rate : 0), `${rate(total.failed)} a second`);
  head.tone('Failed', failing(total));
  head.show('p99 latency', time(total.p99), total.p50 === null || total.p50 === undefined ? 'no calls in 10 s' : `p50 ${time(total.p50)}`);
}

/** The methods that the words name, none when they name the service itself; `null` when nothing fits. */
function fits(service, words) {
  if (!words.length) return [];
  const own = [service.service, ...service.instances.map((instance) => instance.host)].join(' ').toLowerCase();
  const left = words.filter((word) => !own.includes(word));
  if (!left.length) return [];
  const methods = service.methods.filter(({ name }) => left.every((word) => name.toLowerCase().includes(word)));
  return methods.length ? methods.slice(0, METHODS) : null;
}

function makeRow({ service }) {
  const name = service.service;
  const methods = h('span', { class: 'faint' });
  const matches = h('ul', { class: 'matches', 'aria-label': `Methods of ${name} that fit` });
  const title = h('th', { scope: 'row' }, h('a', { href: toService(name), text: name }), ' ', methods, matches);
  const version = h('td', { class: 'wide' });
  const [instances, fare] = [h('span'), badge()];
  const numbers = new Figures();
  const element = h('tr', {}, title, version, h('td', {}, fare.element, ' ', instances), numbers.cells);
  return { element, methods, matches, version, instances, fare, numbers };
}

function updateRow(row, { service, methods }) {
  const { service: name, instances, available } = service;
  text(row.methods, service.methods.length ? plural(service.methods.length, 'method') : '');
  keyed(row.matches, methods, (method) => method.name, ({ name: method }) => ({ element: h('li', {}, h('a', { href: toMethod(name, method), text: method })) }));
  row.matches.hidden = !methods.length;
  text(row.version, versions(service).join(', ') || '–');
  text(row.instances, `${count(available)} of ${count(instances.length)}`);
  row.fare.show(worst(instances));
  attribute(row.element, 'data-tone', available ? null : 'gone');
  row.numbers.show(figures(name), line(`service ${name}`));
}

/** How the instance fares that fares worst. */
function worst(instances) {
  const order = ['bad', 'doubtful', 'plain', 'good'];
  const all = instances.map(fares).sort(([, one], [, other]) => order.indexOf(one) - order.indexOf(other));
  return all[0] ?? ['gone', 'bad'];
}

/** Rows at once: more can be found by the filter, and cost more than they tell. */
const ROWS = 300;
/** Methods that a search shows of one service. */
const METHODS = 8;
/** Problems on the first page; there is a page for all. */
const PROBLEMS = 3;
