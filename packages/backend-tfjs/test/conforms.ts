import { conformance, sections } from '@softgrad/core/conformance';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, inject, test } from 'vitest';
import { type LeftOut, onePerProperty, select } from '../../../conformance.shared.js';
import type { TfjsBackend } from '../src/backend.js';
import type { EngineName } from '../src/index.js';
import { leakless } from './leaks.js';
import { lacking } from './supports.js';

/** The known properties of a backend, and the part of the suite that it runs. */
export interface Known {
  readonly supports: unknown;
  readonly lacking: readonly string[];
  /** Cases that are not run. */
  readonly leftOut?: readonly LeftOut[];
  /** How many of the others `npm test` runs: one of each property. Absent if it runs all of them. */
  readonly onePerProperty?: number;
  /** Whether the operations are also run composed. */
  readonly composed: boolean;
}

export function conforms(engine: EngineName, title: string, open: () => Promise<TfjsBackend>, known: Known): void {
  const { leftOut = [], onePerProperty: count } = known;
  describe(`tfjs on ${title} conforms and leaks nothing`, async () => {
    const backend = await open();
    const cases = await conformance(backend, { composed: known.composed });
    await tf.setBackend('cpu');
    test('it announces its known properties, and skips only cases that it does not support', () => {
      expect(backend.supports).toEqual(known.supports);
      expect(lacking(cases)).toEqual(known.lacking);
    });
    const chosen = select(cases, leftOut);
    test('the cases that are not run are those listed', () => expect(chosen.leftOut).toEqual(leftOut));
    const everything = count === undefined || inject('everything');
    const selected = everything ? chosen.selected : onePerProperty(chosen.selected);
    if (!everything) test('one case of each property is run', () => expect(selected).toHaveLength(count));
    const wanted = selected.map((c) => ({ ...c, run: leakless(engine, c.run) }));
    for (const { name, run } of sections(wanted)) test(name, run);
  });
}
