// What follows from what is known: how an instance fares, and what somebody should look at.

import { now } from './live.js';

/** How an instance fares, in a word and a tone, as `jackfield ls` says it. */
export function fares({ health, enabled, check_healthy: checked, metadata }) {
  if (health === 'draining') return ['draining', 'doubtful'];
  if (!enabled) return metadata.rejected ? ['rejected', 'bad'] : ['disabled', 'bad'];
  if (!checked) return ['unchecked', 'plain'];
  if (metadata.quarantined) return ['quarantined', 'bad'];
  return health === 'healthy' ? ['healthy', 'good'] : [health, 'doubtful'];
}

/** Every service that is known, by name. */
export const services = () => (now.services ? [...now.services.values()] : []);

/** What differs among the instances of a service, each once. */
export function versions(service) {
  return [...new Set(service.instances.map((instance) => instance.version).filter(Boolean))].sort();
}

/** Every host, with its instances. */
export function hosts() {
  const all = new Map();
  for (const service of services()) {
    for (const instance of service.instances) {
      const { host: name, address, zone, kind } = instance;
      const key = `${name} ${address}`;
      if (!all.has(key)) all.set(key, { key, name, address, zone, kind, instances: [] });
      all.get(key).instances.push(instance);
    }
  }
  const sorted = [...all.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
  for (const host of sorted) {
    host.figures = now.pulse?.hosts.find((told) => told.host === host.name && told.address === host.address);
  }
  return sorted;
}

/** What somebody should look at, worst first: each with a key, a kind, a tone, where it is, and a reason. */
export function problems() {
  const found = [];
  for (const service of services()) {
    for (const instance of service.instances) found.push(...of(service.service, instance));
  }
  for (const host of hosts()) {
    if (host.kind === 'plugin' && host.figures?.error) {
      const key = `silent ${host.key}`;
      found.push({ key, kind: 'no figures', tone: 'doubtful', host: host.name, reason: host.figures.error });
    }
    for (const { file, reason } of host.figures?.nameless ?? []) {
      const key = `rejected ${host.key} ${file}`;
      found.push({ key, kind: 'rejected', tone: 'bad', host: host.name, reason: `${file}: ${reason}`, effect: 'No service can be called like this file.' });
    }
  }
  const order = { bad: 0, doubtful: 1, plain: 2 };
  return found.sort((one, other) => order[one.tone] - order[other.tone] || (one.key < other.key ? -1 : 1));
}

function* of(service, instance) {
  const { id, host, metadata, health, generation, operator } = instance;
  const problem = (kind, tone, reason, effect) => ({ key: `${kind} ${id}`, kind, tone, service, host, reason, effect });
  if (metadata.rejected && health !== 'draining') {
    const effect = generation ? `Version ${generation} goes on serving.` : 'Nothing serves under this name.';
    yield problem('rejected', 'bad', metadata.rejected, effect);
  }
  if (metadata.quarantined) {
    yield problem('quarantined', 'bad', metadata.quarantined, 'Its calls are refused for a while.');
  }
  if (metadata['rolled-back-from']) {
    const because = metadata['rolled-back-because'] ?? 'An operator ordered it.';
    const effect = `Version ${generation} serves instead of ${metadata['rolled-back-from']} until the file changes.`;
    yield problem('rolled back', 'doubtful', because, effect);
  }
  if (health === 'suspect' && instance.check_healthy) {
    yield problem('suspect', 'doubtful', 'The registry has not heard of its host for a while.', 'It gets no calls meanwhile.');
  }
  const order = ordered(operator);
  if (order) yield problem('ordered', 'plain', `By an operator: ${order}.`);
}

/** An order in a few words; empty when there is none. */
export function ordered(operator) {
  if (!operator) return '';
  const { disabled, drain, weight, note } = operator;
  const words = [disabled && 'disabled', drain && 'drained', typeof weight === 'number' && `weight ${weight}`, note && `“${note}”`];
  return words.filter(Boolean).join(', ');
}

/** Problems that are worth a count: orders are wanted. */
export const alarming = () => problems().filter((problem) => problem.tone !== 'plain').length;
