import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type Selection, testSelection } from '../../../conformance.shared.js';
import { gpujs, type Mode } from '../src/index.js';
import { announced, lacking, lackingIn } from './announced.js';

/** The part of the suite that a mode runs. */
export interface Extent extends Selection {
  readonly mode: Mode;
  /** Whether the operations are also run composed. */
  readonly composed: boolean;
}

export function conforms(where: string, { mode, composed, ...selection }: Extent): void {
  describe(`gpujs ${where}, mode ${mode}, conforms`, async () => {
    const backend = await gpujs.open({ mode });
    const cases = await conformance(backend, { composed });
    test('it announces its known properties, and skips only cases that it does not support', () => {
      expect(backend.supports).toEqual(announced[mode]);
      expect(lacking(cases)).toEqual(lackingIn(mode));
    });
    for (const { name, run } of sections(testSelection(cases, selection))) test(name, run);
  });
}
