import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type LeftOut, select } from '../../../conformance.shared.js';
import { gpujs, type Mode } from '../src/index.js';
import { announced, lacking, lackingIn } from './announced.js';

/** The part of the suite that a mode runs. */
export interface Extent {
  readonly mode: Mode;
  /** Cases that it does not run. */
  readonly leftOut?: readonly LeftOut[];
  /** Further cases that only `npm run test:all` runs. */
  readonly leftToAll?: readonly LeftOut[];
  /** Whether the operations are also run composed. */
  readonly composed: boolean;
}

export function conforms(where: string, { mode, leftOut = [], leftToAll = [], composed }: Extent): void {
  const unselected = inject('everything') ? leftOut : [...leftOut, ...leftToAll];
  describe(`gpujs ${where}, mode ${mode}, conforms`, async () => {
    const backend = await gpujs.open({ mode });
    const cases = await conformance(backend, { composed });
    test('it announces its known properties, and skips only cases that it does not support', () => {
      expect(backend.supports).toEqual(announced[mode]);
      expect(lacking(cases)).toEqual(lackingIn(mode));
    });
    const chosen = select(cases, unselected);
    test('it runs all other cases except those listed', () => expect(chosen.leftOut).toEqual(unselected));
    for (const { name, run } of sections(chosen.selected)) test(name, run);
  });
}
