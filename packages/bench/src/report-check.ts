import { benchOps } from './ops.js';
import { type Mode, modes } from './report.js';
import { benchDTypes } from './workloads.js';

/**
 * Describes the first part of a value that does not match this version's report format; null if all match. Unknown properties are
 * ignored, because later versions may add some.
 */
export function wrongPart(value: unknown): string | null {
  return report(value, '');
}

/** Describes what is wrong at a place, or returns null. */
type Check = (value: unknown, place: string) => string | null;

const of =
  (expected: string, fits: (value: unknown) => boolean): Check =>
  (value, place) =>
    fits(value) ? null : `${place} is ${shown(value)}; expected ${expected}`;

const text = of('text', (value) => typeof value === 'string');
const number = of('a number', (value) => typeof value === 'number');
const count = of('a whole number above 0', (value) => Number.isInteger(value) && Number(value) > 0);
const truth = of('true or false', (value) => typeof value === 'boolean');

const oneOf = (known: readonly string[]): Check =>
  of(`one of ${known.join(', ')}`, (value) => typeof value === 'string' && known.includes(value));

const nullable =
  (check: Check): Check =>
  (value, place) =>
    value === null ? null : check(value, place);

const list =
  (check: Check): Check =>
  (value, place) =>
    Array.isArray(value) ? first(value.map((one, k) => () => check(one, `${place}[${k}]`))) : `${place} must be a list`;

const pair = (check: Check): Check =>
  both(
    of('a pair', (value) => Array.isArray(value) && value.length === 2),
    list(check),
  );

const fields =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return `${place || 'it'} must be an object`;
    return first(
      Object.entries(checks).map(([name, check]) => () => {
        const part = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
        return check(part, place === '' ? name : `${place}.${name}`);
      }),
    );
  };

const perMode =
  (check: Check): Check =>
  (value, place) =>
    fields(Object.fromEntries(modes.map((mode: Mode) => [mode, optional(check)])))(value, place);

function optional(check: Check): Check {
  return (value, place) => (value === undefined ? null : check(value, place));
}

function both(a: Check, b: Check): Check {
  return (value, place) => a(value, place) ?? b(value, place);
}

function first(checks: readonly (() => string | null)[]): string | null {
  for (const check of checks) {
    const problem = check();
    if (problem !== null) return problem;
  }
  return null;
}

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const written = JSON.stringify(value) ?? String(value);
  return written.length > 40 ? `${written.slice(0, 40)}…` : written;
}

const kind = oneOf(['backend', 'peer']);
const samples = list(list(nullable(number)));
const ratio = { ratio: number, interval: pair(number) };
const bound = { name: oneOf(['memory', 'exp', 'call']), ms: number, from: text };

const result = fields({
  contender: text,
  kind,
  missing: nullable(text),
  correctness: nullable(fields({ ok: truth, worstUlp: number, worstShareOfBound: number, problem: nullable(text) })),
  firstCallMs: nullable(number),
  samples: perMode(samples),
  emptyCall: nullable(samples),
  timings: perMode(fields({ medianMs: number, quartilesMs: pair(number), samples: number })),
  ratios: perMode(fields({ ...ratio, significant: truth })),
  bound: nullable(fields({ ...bound, share: number })),
});

const workload = fields({
  workload: fields({ op: oneOf(benchOps), shape: pair(count), dtype: oneOf(benchDTypes) }),
  baseline: nullable(text),
  control: nullable(samples),
  roofs: list(fields({ name: oneOf(['memcpy', 'fill', 'store', 'exp']), from: text, samples })),
  bounds: list(fields(bound)),
  noise: nullable(fields(ratio)),
  results: list(result),
});

const report = fields({
  environment: fields({
    date: text,
    runtime: text,
    platform: text,
    processor: text,
    logicalProcessors: number,
    crossOriginIsolated: truth,
  }),
  settings: fields({ rounds: number, sampleMs: number, processes: number }),
  contenders: list(fields({ name: text, kind, description: text, openMs: number })),
  unavailable: list(fields({ name: text, reason: text })),
  workloads: list(workload),
});
