import type { HostArray } from '@softgrad/core';
import { type BenchDType, type FloatArray, floatArray } from '../workloads.js';
import type { Case, OutputName } from './case.js';
import { type AccuracyInput, accuracyData } from './inputs.js';
import type { AccuracyOp } from './ops/op.js';
import { accuracyOps } from './ops/table.js';
import type { Question } from './questions.js';

/** The numbers of each question, those that several ops share made once. */
export function cases(count: number): (question: Question) => Case {
  const made = new Map<AccuracyInput, Map<string, Case>>();
  return ({ op, dtype, input }) => {
    const entries = entriesOf(accuracyOps[op], input, count);
    const known = made.get(input) ?? new Map<string, Case>();
    made.set(input, known);
    const key = `${dtype} ${entries}`;
    const found = known.get(key) ?? caseOf(input, dtype, entries);
    known.set(key, found);
    return found;
  };
}

/** How many entries of an input give about `count` results. Rows with one result count with their entries. */
function entriesOf({ results }: AccuracyOp, { classes }: AccuracyInput, count: number): number {
  return Math.max(1, (count * classes) / Math.max(classes, results(classes)));
}

function caseOf(input: AccuracyInput, dtype: BenchDType, entries: number): Case {
  const data = accuracyData(input, dtype, entries);
  const outputs = new Map<OutputName, FloatArray>();
  const asked: Case = {
    ...data,
    layout: { outer: data.rows, classes: data.period, inner: 1 },
    parameters: { temperature: input.temperature, mask: data.mask },
    targetKind: input.target,
    output(name) {
      const known = outputs.get(name) ?? rounded(accuracyOps[name].expected(asked), dtype);
      outputs.set(name, known);
      return known;
    },
  };
  return asked;
}

export function rounded(values: HostArray, dtype: BenchDType): FloatArray {
  const result = floatArray(dtype, values.length);
  result.set(values);
  return result;
}
