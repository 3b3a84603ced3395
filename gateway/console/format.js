// Numbers as people read them: three digits are enough.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A count. */
export const count = (number) => whole.format(number);

/** Something each second. */
export function rate(perSecond) {
  if (!perSecond) return '0';
  if (perSecond >= 100_000) return `${whole.format(perSecond / 1000)}k`;
  return perSecond < 10 ? tenth.format(Math.max(perSecond, 0.1)) : whole.format(perSecond);
}

/** A share of one. */
export function percent(share) {
  if (!share) return '0%';
  if (share < 0.001) return '<0.1%';
  return share < 0.0995 ? `${tenth.format(share * 100)}%` : `${whole.format(share * 100)}%`;
}

/** A time in milliseconds. */
export function time(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 0.9995) return `${whole.format(ms * 1000)} µs`;
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  if (ms < 99.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${whole.format(ms)} ms`;
  return ms < 59_950 ? `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s` : `${whole.format(ms / 60_000)} min`;
}

/** A size. */
export function bytes(size) {
  if (size === null || size === undefined) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (size >= 1023.5 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit && size < 9.95 ? tenth.format(size) : whole.format(size)} ${units[unit]}`;
}

/** How long something has run, in seconds. */
export function age(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([length]) => seconds >= length);
  if (first < 0) return '0 s';
  const [length, unit] = parts[first];
  const left = parts[first + 1] && first < 2 ? Math.floor((seconds % length) / parts[first + 1][0]) : 0;
  return `${Math.floor(seconds / length)} ${unit}${left ? ` ${left} ${parts[first + 1][1]}` : ''}`;
}

/** `1 host`, `2 hosts`. */
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;

/** The first line of a text. */
export const firstLine = (text) => text.split('\n', 1)[0];
