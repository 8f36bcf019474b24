import { readdirSync, readFileSync } from 'node:fs';
import type { FloatDType } from '@softgrad/core';
import { inject } from 'vitest';

const folder = new URL('../src/kernels/', import.meta.url);

/** The integer constants that the kernels' sources #define for a dtype, in the build without relaxed SIMD. */
export function definesOf(dtype: FloatDType): ReadonlyMap<string, number> {
  const bits = dtype === 'float64' ? 64 : 32;
  const bodies = new Map([['REAL', String(bits)]]);
  for (const file of readdirSync(folder)) {
    const applies: boolean[] = [];
    for (const line of readFileSync(new URL(file, folder), 'utf8').split('\n')) {
      const [, directive, rest = ''] = /^#\s*(\w+)\s*(.*)$/.exec(line) ?? [];
      if (directive === 'if')
        applies.push(/^REAL == (\d+)/.exec(rest)?.[1] === String(bits) && !rest.includes(' defined('));
      else if (directive === 'ifdef' || directive === 'ifndef') applies.push(directive === 'ifndef');
      else if (directive === 'else') applies.push(!applies.pop());
      else if (directive === 'endif') applies.pop();
      else if (directive === 'define' && applies.every(Boolean)) {
        const [, name, body] = /^(\w+)\s+([^/]+?(?:\/ [^/]+?)*)\s*(?:\/\/.*)?$/.exec(rest) ?? [];
        if (name) bodies.set(name, body);
      }
    }
  }
  const values = new Map<string, number>();
  for (const name of bodies.keys()) {
    const value = evaluated(name, bodies);
    if (Number.isInteger(value)) values.set(name, value);
  }
  return values;
}

/** The value of a constant, or NaN if its expression has anything but integers and other constants. */
function evaluated(name: string, bodies: ReadonlyMap<string, string>): number {
  let text = name;
  for (let depth = 0; depth < 8; depth++)
    text = text.replace(/[A-Za-z_]\w*/g, (word) => `(${bodies.get(word) ?? 'NaN'})`);
  if (!/^[\d\s()+*/?:=-]+$/.test(text)) return Number.NaN;
  return Math.trunc(Number(new Function(`return ${text}`)()));
}

/** A constant of the kernels. @throws if there is none of that name */
export function defined(name: string, dtype: FloatDType): number {
  const value = definesOf(dtype).get(name);
  if (value === undefined) throw new Error(`src/kernels define no integer ${name} for ${dtype}`);
  return value;
}

/** Names of numbers of classes from which on another kernel is used, and up to which one is. */
const thresholds = {
  from: ['ROWS_FROM', 'PAIRS_FROM', 'LONG_ROW', 'PAIRS_TO', 'SHORT_TO'],
  upTo: ['MOST_CLASSES', 'STRETCH'],
};

/** Row lengths on both sides of each threshold and of multiples of a stretch, in ascending order; `npm run test:all` has one more at each threshold. */
function lengthsAroundThresholds(dtype: FloatDType): readonly number[] {
  const known = definesOf(dtype);
  const around = (names: readonly string[], steps: readonly number[]) =>
    names.flatMap((name) => {
      const value = known.get(name);
      return value === undefined ? [] : steps.map((step) => value + step);
    });
  const stretch = defined('STRETCH', dtype);
  const lengths = inject('everything')
    ? [...around(Object.values(thresholds).flat(), [-1, 0, 1]), stretch + 16, 2 * stretch - 1, 2 * stretch + 1]
    : [...around(thresholds.from, [-1, 0]), ...around(thresholds.upTo, [0, 1]), 2 * stretch - 1, 2 * stretch + 1];
  return lengths.sort((a, b) => a - b);
}

/**
 * Lengths of rows: every length of up to nine vectors of float32, of which `npm test` has those of two vectors and every fifth, with every remainder, and
 * lengths on both sides of each threshold between kernels.
 */
export function rowLengths(dtype: FloatDType): readonly number[] {
  const short = Array.from({ length: 36 }, (_, i) => i + 1);
  const some = inject('everything') ? short : short.filter((length) => length <= 8 || length % 5 === 1);
  return [...new Set([...some, ...lengthsAroundThresholds(dtype)])];
}
