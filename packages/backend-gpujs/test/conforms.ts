import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type Selection, testSelection } from '../../../conformance.shared.js';
import { type GpujsBackend, gpujs, type Mode } from '../src/index.js';
import { announced, lacking, lackingIn } from './announced.js';

/** The part of the suite that a mode runs. */
export interface Extent extends Selection {
  readonly mode: Mode;
  /** Whether the operations are also run composed. */
  readonly composed: boolean;
  /** Gives the backend, if it stays open for other tests. */
  readonly backendOf?: () => Promise<GpujsBackend>;
}

export function conforms(
  where: string,
  { mode, composed, backendOf = () => gpujs.open({ mode }), ...selection }: Extent,
): void {
  describe(`gpujs ${where}, mode ${mode}, conforms`, async () => {
    const backend = await backendOf();
    const cases = await conformance(backend, { composed });
    test('it announces its known properties, and skips only cases that it does not support', () => {
      expect(backend.supports).toEqual(announced[mode]);
      expect(lacking(cases)).toEqual(lackingIn(mode));
    });
    for (const { name, run } of sections(testSelection(cases, selection))) test(name, run);
  });
}
