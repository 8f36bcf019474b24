import * as Plot from '@observablehq/plot';
import { entry } from '../entry.js';
import { picture } from '../picture.js';
import { eaten, foods, lengths } from './alligators.js';

/** The probability of each food along the lengths, and a dot for each observation, as an SVG file's text. */
export function curves(along: readonly number[], rows: readonly (readonly number[])[]): string {
  const points = rows.flatMap((row, at) =>
    row.map((probability, k) => ({ length: entry(along, at), food: entry(foods, k), probability })),
  );
  const observed = lengths.map((length, at) => ({ length, food: entry(foods, entry(eaten, at)) }));
  return picture({
    ariaLabel: 'Probability of each food by the length of an alligator',
    marginRight: 100,
    x: { label: 'length in metres' },
    y: { label: 'probability of the food', domain: [0, 1], grid: true },
    color: { scheme: 'Observable10', domain: foods },
    marks: [
      Plot.ruleY([0]),
      Plot.lineY(points, { x: 'length', y: 'probability', stroke: 'food', strokeWidth: 2 }),
      Plot.dot(observed, Plot.dodgeY({ x: 'length', fill: 'food', r: 2.5 })),
      Plot.text(points.slice(-foods.length), {
        x: 'length',
        y: 'probability',
        text: 'food',
        fill: 'food',
        dx: 6,
        textAnchor: 'start',
      }),
    ],
  });
}
