import { readdirSync, readFileSync } from 'node:fs';
import type { FloatDType } from '@softgrad/core';

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

/** Names of the thresholds: numbers of classes from which on another kernel is used. */
const lengthThresholds = ['MOST_CLASSES', 'ROWS_FROM', 'STRETCH', 'PAIRS_FROM', 'LONG_ROW', 'PAIRS_TO', 'SHORT_TO'];

/** Row lengths on both sides of each threshold and of multiples of a stretch, in ascending order. */
export function lengthsAroundThresholds(dtype: FloatDType): readonly number[] {
  const known = definesOf(dtype);
  const lengths = new Set<number>();
  for (const name of lengthThresholds) {
    const value = known.get(name);
    if (value === undefined) continue;
    for (const step of [-1, 0, 1]) lengths.add(value + step);
  }
  const stretch = defined('STRETCH', dtype);
  for (const length of [stretch + 16, 2 * stretch - 1, 2 * stretch + 1]) lengths.add(length);
  return [...lengths].sort((a, b) => a - b);
}
