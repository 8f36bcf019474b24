import type { Rows } from '@softgrad/core';
import type { reference } from '@softgrad/core/conformance';
import type { FloatArray } from '../workloads.js';
import type { AccuracyData, TargetKind } from './inputs.js';

/** The functions whose outputs derivatives take. */
export type OutputName = 'softmax' | 'logSoftmax' | 'sigmoid' | 'relu';

/** What the reference is given: one period of each row, already rounded to the dtype. */
export interface Case extends AccuracyData {
  readonly layout: Rows;
  readonly parameters: Required<Pick<reference.ReferenceParameters, 'temperature'>> & {
    readonly mask: Uint8Array | null;
  };
  readonly targetKind: TargetKind;
  /** A function of the whole rows at the temperature, rounded to the dtype. */
  output(name: OutputName): FloatArray;
}
