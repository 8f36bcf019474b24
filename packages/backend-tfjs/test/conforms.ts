import { conformance, sections } from '@softgrad/core/conformance';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type Selection, testSelection } from '../../../conformance.shared.js';
import type { TfjsBackend } from '../src/backend.js';
import type { EngineName } from '../src/index.js';
import { leakless } from './leaks.js';
import { lacking } from './supports.js';

/** The known properties of a backend, and the part of the suite that it runs. */
export interface Known extends Selection {
  readonly supports: unknown;
  readonly lacking: readonly string[];
  /** Whether the operations are also run composed. */
  readonly composed: boolean;
}

export function conforms(engine: EngineName, title: string, open: () => Promise<TfjsBackend>, known: Known): void {
  describe(`tfjs on ${title} conforms and leaks nothing`, async () => {
    const backend = await open();
    const cases = await conformance(backend, { composed: known.composed });
    await tf.setBackend('cpu');
    test('it announces its known properties, and skips only cases that it does not support', () => {
      expect(backend.supports).toEqual(known.supports);
      expect(lacking(cases)).toEqual(known.lacking);
    });
    const wanted = testSelection(cases, known).map((c) => ({ ...c, run: leakless(engine, c.run) }));
    for (const { name, run } of sections(wanted)) test(name, run);
  });
}
