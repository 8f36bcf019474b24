import { directionsOf } from '../ops/definition.js';
import type { Derivative } from './function.js';
import { type GradcheckEntry, type GradcheckReport, isCompared } from './report.js';

/** What a text names: the derivative, and the directions that the caller gave; the others are the default ones. */
export interface Compared {
  readonly derivative: Derivative;
  readonly given: Readonly<Partial<Record<Direction, unknown>>>;
}

type Direction = keyof typeof letters;

const letters = { cotangent: 'g', tangent: 't' };

/** A report as one line. */
export function lineOf(
  { name, backend, dtype, ok, checked, maxError, entries }: Omit<GradcheckReport, 'toString'>,
  of: Compared,
): string {
  const what = `${name ?? 'a function'} on ${backend} in ${dtype}`;
  const result = `${what}: ${ok ? 'ok' : 'not ok'}, ${checked} of ${entries.length} entries compared`;
  const wrong = entries.filter((entry) => !entry.ok && isCompared(entry));
  const [first] = wrong;
  const problem = first && `, ${wrong.length} wrong: ${contradiction(first, of)}`;
  const errors = ok ? `, errors up to ${maxError.toPrecision(3)}` : '';
  return `${result}${problem ?? errors}${notCompared(entries)}`;
}

/** `∂⟨g, f⟩/∂x[0] is 1 from vjp, 0.5 ± 1.0e-8 from differences (g: your cotangent)`. */
function contradiction(
  { index, analytic, numeric, tolerance, sides }: GradcheckEntry,
  { derivative, given }: Compared,
): string {
  const of = derivative === 'vjp' ? `∂⟨g, f⟩/∂x[${index}]` : `∂²⟨g, f⟩/∂t∂x[${index}]`;
  const directions = directionsOf[derivative].map((direction) =>
    given[direction] === undefined
      ? `${letters[direction]}: the default ${direction} of pseudo-random numbers`
      : `${letters[direction]}: your ${direction}`,
  );
  const kink = sides ? `; not differentiable there: slopes ${sides.join(' and ')}` : '';
  // Differences have about 12 digits.
  const expected = Number(numeric.toPrecision(12));
  return `${of} is ${analytic} from ${derivative}, ${expected} ± ${tolerance.toPrecision(3)} from differences (${directions.join(', ')})${kink}`;
}

/** How many entries could not be compared, and why not the first of them, or the first that is not ok. */
function notCompared(entries: readonly GradcheckEntry[]): string {
  const others = entries.filter((entry) => !isCompared(entry));
  const example = others.find(({ ok }) => !ok) ?? others[0];
  if (example === undefined) return '';
  const { index, reason } = example;
  return others.length === 1
    ? `; x[${index}] not compared: ${reason}`
    : `; ${others.length} not compared, such as x[${index}]: ${reason}`;
}
