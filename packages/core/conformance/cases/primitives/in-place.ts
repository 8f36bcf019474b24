import type { Backend, Basis, Extent, FloatDType } from '../../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeOnly } from '../../case.js';
import { assertClose } from '../../check.js';
import { runKernel, upload } from '../../kernel.js';
import { basisOf } from './operands.js';

/** Primitives whose result replaces an operand. */
export function inPlaceCase(dtype: FloatDType): ConformanceCase {
  return defineKernelCase(`basis/in-place${dtypeOnly(dtype)}`, { dtype, features: ['basis', 'inPlace'] }, (backend) =>
    inPlace(backend, dtype),
  );
}

async function inPlace(backend: Backend, dtype: FloatDType): Promise<void> {
  const whole: Extent = [1, 1, 4];
  const x = [1, -2, 0.5, 4];
  const operands = [{ values: [2, 2, 4, 0.25], dtype }];
  const actual = await runKernel(backend, { length: 4, dtype }, [...operands, { values: x, dtype }], (out, [b, a]) => {
    basisOf(backend).unary(a, 'neg', a, 4);
    basisOf(backend).binary(a, 'mul', { buffer: a, extent: whole }, { buffer: b, extent: whole }, whole);
    basisOf(backend).binary(b, 'sub', { buffer: a, extent: whole }, { buffer: b, extent: whole }, whole);
    basisOf(backend).select(out, { buffer: a, extent: whole }, { buffer: b, extent: whole }, 0, whole);
  });
  assertClose('basis primitives whose out is one of their operands', actual, [0, 2, 0, 0], new Float64Array(4));
  const all = (buffer: unknown) => ({ buffer, extent: whole });
  const into = async (
    what: string,
    expected: readonly number[],
    run: (basis: Basis<unknown>, c: unknown, a: unknown, b: unknown) => unknown,
  ) => {
    const given = [
      [1, -1, 0, 2],
      [5, 6, 7, 8],
      [-5, -6, -7, -8],
    ].map((values) => upload(backend, { values, dtype }));
    const [c, a, b] = given;
    const out = run(basisOf(backend), c, a, b);
    assertClose(what, await backend.read(out), expected, new Float64Array(4));
    for (const buffer of given) backend.free(buffer);
  };
  await into('basis.binary of one buffer, into it', [2, -2, 0, 4], (basis, c) => {
    basis.binary(c, 'add', all(c), all(c), whole);
    return c;
  });
  for (const k of [0, 1, 2]) {
    await into(`basis.select into operand ${k}`, [5, -6, -7, 8], (basis, c, a, b) => {
      const out = [c, a, b][k];
      basis.select(out, all(c), all(a), all(b), whole);
      return out;
    });
  }
  await into('basis.select of one buffer, into it', [1, -1, 0, 2], (basis, c) => {
    basis.select(c, all(c), all(c), all(c), whole);
    return c;
  });
}
