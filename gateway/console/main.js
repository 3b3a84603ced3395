// The console of a gateway: which page is shown, and what surrounds it.

import { attribute, h, text } from './dom.js';
import { begin, listen, now } from './live.js';
import { alarming } from './model.js';
import { hostsPage } from './pages/hosts.js';
import { methodPage } from './pages/method.js';
import { problemsPage } from './pages/problems.js';
import { servicePage } from './pages/service.js';
import { servicesPage } from './pages/services.js';

const main = document.getElementById('main');
let page = null;

/** Which page an address means. */
function pageAt(hash) {
  let steps;
  try {
    steps = hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return lostPage();
  }
  const [first, service, methods, method] = steps;
  if (!first) return servicesPage();
  if (first === 'hosts' && steps.length === 1) return hostsPage();
  if (first === 'problems' && steps.length === 1) return problemsPage();
  if (first === 'services' && steps.length === 2) return servicePage(service);
  if (first === 'services' && methods === 'methods' && steps.length === 4) return methodPage(service, method);
  return lostPage();
}

function lostPage() {
  const home = h('a', { href: '#/', text: 'all services' });
  return { title: 'Nothing here', element: h('div', {}, h('h1', { tabindex: '-1', text: 'Nothing here' }), h('p', {}, 'There is no such page. Back to ', home, '.')), update() {} };
}

function go() {
  const isFirst = page === null;
  page?.leave?.();
  page = pageAt(location.hash);
  document.title = `${page.title} · Jackfield`;
  main.replaceChildren(page.element);
  for (const link of document.querySelectorAll('nav [data-page]')) attribute(link, 'aria-current', link.dataset.page === page.page ? 'page' : null);
  page.update();
  if (isFirst) return;
  // Who reads by ear or goes by keyboard begins at the top of the new page.
  scrollTo(0, 0);
  main.querySelector('h1')?.focus({ preventScroll: true });
}

/** How the page and the gateway fare with each other and with the registry. */
function surroundings() {
  const [link, notice, problems] = ['link', 'notice', 'problem-count'].map((id) => document.getElementById(id));
  const [word, tone, trouble] = standing();
  text(link, word);
  attribute(link, 'data-tone', tone);
  text(notice, trouble);
  notice.hidden = !trouble;
  const number = alarming();
  text(problems, number);
  problems.hidden = !number;
}

function standing() {
  if (now.stream === 'lost') return ['offline', 'bad', 'The gateway does not answer, or has as many consoles open as it allows. What is shown is what was known last; the page tries again by itself.'];
  if (now.stream === 'connecting') return ['connecting', 'plain', ''];
  const registry = now.pulse?.registry;
  if (!registry) return ['live', 'good', ''];
  if (registry.connected) return [`live · registry ${registry.connected}`, 'good', ''];
  const why = registry.failures.map(({ registry: at, message }) => `${at}: ${message}`).join('; ');
  return ['no registry', 'doubtful', `No registry answers, so changes are not known; calls go on by the last good set. ${why}`];
}

/** Light, dark, or as the system has it. */
function theme() {
  const button = document.getElementById('theme');
  const order = ['system', 'light', 'dark'];
  let chosen = localStorage.getItem('theme') ?? 'system';
  const show = () => {
    attribute(document.documentElement, 'data-theme', chosen === 'system' ? null : chosen);
    text(button, `Theme: ${chosen}`);
  };
  button.addEventListener('click', () => {
    chosen = order[(order.indexOf(chosen) + 1) % order.length];
    localStorage.setItem('theme', chosen);
    show();
  });
  show();
}

/** `/` leads to the filter from everywhere that nothing is typed. */
function shortcut(event) {
  const isTyping = event.target.closest?.('input, textarea, select');
  if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (page.page !== 'services' || page.title !== 'Services') location.hash = '#/';
  requestAnimationFrame(() => document.getElementById('filter')?.focus());
}

addEventListener('hashchange', go);
document.addEventListener('keydown', shortcut);
// The page has its addresses behind the #: this link means a place in it.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
listen(() => {
  surroundings();
  page.update();
});
theme();
go();
surroundings();
begin();
