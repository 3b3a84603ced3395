// Lines of the last minute. What they show is in numbers beside them, so that they are hidden from those who do not see.

import { svg } from './dom.js';

/** Samples that a line holds: one a second. */
export const SAMPLES = 60;

/** The last samples of something, oldest first. */
export class Ring {
  #samples = new Array(SAMPLES).fill(0);

  push(value) {
    this.#samples.shift();
    this.#samples.push(value);
  }

  get samples() {
    return this.#samples;
  }

  get isFlat() {
    return this.#samples.every((sample) => sample === 0);
  }
}

/** A line of `width` × `height` units. */
export class Line {
  #area = svg('path', { class: 'area' });
  #stroke = svg('path', { class: 'stroke' });
  #failed = svg('path', { class: 'failed' });
  #size;

  constructor(width, height) {
    this.#size = [width, height];
    const box = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true', class: 'line' };
    this.element = svg('svg', box, this.#area, this.#stroke, this.#failed);
  }

  /** Draws `ring`, and below it what of that failed. */
  draw(ring, failed) {
    const most = Math.max(...(ring?.samples ?? [0]), 1e-9);
    const points = ring && !ring.isFlat ? this.#points(ring, most) : this.#points(new Ring(), 1);
    const [width, height] = this.#size;
    this.#stroke.setAttribute('d', `M${points.join('L')}`);
    this.#area.setAttribute('d', `M0,${height}L${points.join('L')}L${width},${height}Z`);
    const hasFailed = failed && !failed.isFlat;
    this.#failed.setAttribute('d', hasFailed ? `M${this.#points(failed, most).join('L')}` : '');
  }

  #points(ring, most) {
    const [width, height] = this.#size;
    const step = width / (SAMPLES - 1);
    return ring.samples.map((sample, at) => {
      const y = height - 1 - (sample / most) * (height - 2.5);
      return `${(at * step).toFixed(1)},${y.toFixed(1)}`;
    });
  }
}
