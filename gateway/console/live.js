// What the gateway tells, as it tells it, and what was told in the last minute.

import { Ring } from './chart.js';

/** What is known now. */
export const now = {
  /** `connecting`, `live`, `lost`. */
  stream: 'connecting',
  /** Whether orders to instances are taken here. */
  orders: false,
  version: '',
  /** Services by name; `null` before the first word. */
  services: null,
  /** The newest figures; `null` before the first. */
  pulse: null,
};

/** The last minute: calls and failures each second, by what they are of. */
const lines = new Map();

/** The lines of `all`, `service NAME`, `method SERVICE NAME` or `host NAME`. */
export const line = (of) => lines.get(of);

const EMPTY = { rate: 0, failed: 0, faults: 0, in_flight: 0, p50: null, p99: null, calls: 0, statuses: {}, methods: {} };

/** A service may be called `constructor`, which every object has. */
const own = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);

/** The figures of a service. */
export const figures = (service) => own(now.pulse?.services, service) ?? EMPTY;

/** The figures of a method. */
export const methodFigures = (service, method) => own(figures(service).methods, method) ?? EMPTY;

const listeners = new Set();
let source = null;
let retry = null;
let asked = false;

/** Has `listener` called after each change, once for each picture that the browser shows. */
export function listen(listener) {
  listeners.add(listener);
}

function changed() {
  if (asked) return;
  asked = true;
  const tell = () => {
    asked = false;
    for (const listener of listeners) listener();
  };
  // A page that is not shown is given no pictures, and is not looked at.
  if (document.hidden) setTimeout(tell, 200);
  else requestAnimationFrame(tell);
}

/** Begins, and begins again whenever it ends, as long as somebody looks. */
export function begin() {
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) setTimeout(() => document.hidden && end(), PATIENCE_MS);
    else if (!source) open();
  });
  open();
}

function end() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function open() {
  end();
  source = new EventSource('events');
  source.addEventListener('hello', (event) => heard(event, hello));
  source.addEventListener('services', (event) => heard(event, services));
  source.addEventListener('pulse', (event) => heard(event, pulse));
  source.addEventListener('error', () => {
    now.stream = 'lost';
    changed();
    // The browser tries again by itself, unless it was answered with anything but a stream.
    if (source?.readyState === EventSource.CLOSED) {
      end();
      retry = setTimeout(open, RETRY_MS);
    }
  });
}

function heard(event, take) {
  now.stream = 'live';
  take(JSON.parse(event.data));
  changed();
}

function hello({ orders, version }) {
  now.orders = orders;
  now.version = version;
}

function services({ whole, set, gone }) {
  if (whole || !now.services) now.services = new Map();
  for (const service of set) {
    for (const instance of service.instances) instance.service = service.service;
    now.services.set(service.service, service);
  }
  for (const name of gone) now.services.delete(name);
  // A new one has its place among the others.
  now.services = new Map([...now.services].sort(([one], [other]) => (one < other ? -1 : 1)));
}

function pulse(told) {
  now.pulse = told;
  const fresh = new Map([['all', told.total]]);
  for (const [service, its] of Object.entries(told.services)) {
    fresh.set(`service ${service}`, its);
    for (const [method, figures] of Object.entries(its.methods)) fresh.set(`method ${service} ${method}`, figures);
  }
  for (const host of told.hosts) fresh.set(`host ${host.host}`, host);
  for (const [of, kept] of lines) {
    if (fresh.has(of)) continue;
    kept.calls.push(0);
    kept.failed.push(0);
    if (kept.calls.isFlat) lines.delete(of);
  }
  for (const [of, figures] of fresh) {
    let kept = lines.get(of);
    if (!kept) lines.set(of, (kept = { calls: new Ring(), failed: new Ring() }));
    kept.calls.push(figures.rate_now ?? 0);
    kept.failed.push(figures.failed_now ?? 0);
  }
}

/** A browser keeps six connections to one place: a page that nobody looks at gives its one back. */
const PATIENCE_MS = 10_000;
const RETRY_MS = 3000;
