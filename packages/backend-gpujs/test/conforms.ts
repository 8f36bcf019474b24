import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { gpujs, type Mode } from '../src/index.js';
import { announced, lacking, lackingIn } from './announced.js';

/** How much of the suite a mode runs. */
export interface Extent {
  readonly mode: Mode;
  /** The cases that it runs, by id; all of them if it is left out. */
  readonly only?: RegExp;
  /** Whether the operations are also run composed. */
  readonly composed: boolean;
}

export function conforms(where: string, { mode, only, composed }: Extent): void {
  describe(`gpujs ${where}, mode ${mode}, conforms`, async () => {
    const backend = await gpujs.open({ mode });
    const cases = await conformance(backend, { composed });
    test('what it announces is what it is known to do, and nothing else is skipped', () => {
      expect(backend.supports).toEqual(announced[mode]);
      expect(lacking(cases)).toEqual(lackingIn(mode));
    });
    const wanted = cases.filter(({ id }) => only === undefined || only.test(id));
    for (const { name, run } of sections(wanted)) test(name, run);
  });
}
