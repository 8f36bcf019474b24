import * as Plot from '@observablehq/plot';
import { picture } from '../picture.js';

/** What an epoch came to. */
export interface Epoch {
  readonly epoch: number;
  readonly loss: number;
  readonly accuracy: number;
}

/** Accuracy on the held-out digits over the epochs, as an SVG file's text. One line for each derivative. */
export function curves(runs: ReadonlyMap<string, readonly Epoch[]>): string {
  const points = [...runs].flatMap(([derivative, epochs]) => epochs.map((epoch) => ({ derivative, ...epoch })));
  return picture({
    ariaLabel: 'Accuracy on held-out digits by epoch',
    marginRight: 120,
    x: { label: 'epoch', ticks: points.map(({ epoch }) => epoch).filter(Number.isInteger), tickFormat: 'd' },
    y: { label: 'accuracy on held-out digits', domain: [0, 1], percent: false, grid: true },
    color: { scheme: 'Observable10' },
    marks: [
      Plot.ruleY([0.1], { stroke: 'gray', strokeDasharray: '4 3' }),
      Plot.text(['chance'], { x: () => 0, y: () => 0.1, dy: -7, textAnchor: 'start', fill: 'gray' }),
      Plot.lineY(points, { x: 'epoch', y: 'accuracy', stroke: 'derivative', strokeWidth: 2 }),
      Plot.text(labels(runs), {
        x: 'epoch',
        y: 'accuracy',
        text: 'text',
        fill: 'derivative',
        dx: 6,
        textAnchor: 'start',
      }),
    ],
  });
}

/** A label at the end of each line; lines that end within a label's height of each other share one. */
function labels(runs: ReadonlyMap<string, readonly Epoch[]>) {
  const ends = [...runs].flatMap(([derivative, epochs]) => epochs.slice(-1).map((epoch) => ({ derivative, ...epoch })));
  ends.sort((a, b) => b.accuracy - a.accuracy);
  const merged: ((typeof ends)[number] & { text: string })[] = [];
  for (const end of ends) {
    const above = merged.at(-1);
    if (above && above.accuracy - end.accuracy < 0.04) above.text += `, ${end.derivative}`;
    else merged.push({ ...end, text: end.derivative });
  }
  return merged;
}
