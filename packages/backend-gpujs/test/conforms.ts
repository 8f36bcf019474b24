import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type LeftOut, onePerProperty, select } from '../../../conformance.shared.js';
import { gpujs, type Mode } from '../src/index.js';
import { announced, lacking, lackingIn } from './announced.js';

/** The part of the suite that a mode runs. */
export interface Extent {
  readonly mode: Mode;
  /** Cases that it does not run. */
  readonly leftOut?: readonly LeftOut[];
  /** How many of the others `npm test` runs: one of each property. Absent if it runs all of them. */
  readonly onePerProperty?: number;
  /** Whether the operations are also run composed. */
  readonly composed: boolean;
}

export function conforms(where: string, { mode, leftOut = [], onePerProperty: count, composed }: Extent): void {
  describe(`gpujs ${where}, mode ${mode}, conforms`, async () => {
    const backend = await gpujs.open({ mode });
    const cases = await conformance(backend, { composed });
    test('it announces its known properties, and skips only cases that it does not support', () => {
      expect(backend.supports).toEqual(announced[mode]);
      expect(lacking(cases)).toEqual(lackingIn(mode));
    });
    const chosen = select(cases, leftOut);
    test('the cases that are not run are those listed', () => expect(chosen.leftOut).toEqual(leftOut));
    const everything = count === undefined || inject('everything');
    const wanted = everything ? chosen.selected : onePerProperty(chosen.selected);
    if (!everything) test('one case of each property is run', () => expect(wanted).toHaveLength(count));
    for (const { name, run } of sections(wanted)) test(name, run);
  });
}
