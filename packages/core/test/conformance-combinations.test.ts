import { describe, expect, test } from 'vitest';
import { trialsOf } from '../conformance/cases/combinations.js';
import { delegate } from '../conformance/delegate.js';
import { cases, exact } from '../conformance/index.js';
import { statedFor } from '../conformance/problem.js';
import { checkEach } from '../conformance/sweep.js';
import { type Backend, type ErrorCode, SoftgradError } from '../src/index.js';

const ids = cases.filter(({ section }) => section === 'combinations').map(({ id }) => id);
const groupOf = (id: string) => id.replace(/^combinations\//, '').replace(/;dtype=.*$/, '');
const inFloat32 = ids.filter((id) => !id.includes('dtype='));

describe('combinations', () => {
  test.for(inFloat32)('%s need IEEE arithmetic where they say so, and only there', (id) => {
    const finite = trialsOf(groupOf(id), 'float32').map(({ operation, problem }) => {
      const { operands, expected } = statedFor(operation, problem);
      return [expected, ...operands.map(({ values }) => values)].every((values) => values.every(Number.isFinite));
    });
    if (id.includes('set=finite')) expect(finite).not.toContain(false);
    else expect(finite).toContain(false);
  });

  test('have masks that repeat for blocks of rows, results in operands and rows of every length', () => {
    const trials = inFloat32.flatMap((id) => trialsOf(groupOf(id), 'float32'));
    const repeating = trials.filter(({ problem: { mask, rows } }) => {
      const blocks = mask ? mask.data.length / (rows.classes * rows.inner) : 0;
      return Number.isInteger(blocks) && blocks > 1 && blocks < rows.outer;
    });
    expect(repeating.length).toBeGreaterThan(20);
    expect(new Set(trials.map(({ out }) => out))).toEqual(
      new Set(['none', 'given', 'operand 0', 'operand 1', 'operand 2', 'target']),
    );
    expect(new Set(trials.map(({ problem }) => problem.shape.length))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    const lengths = new Set(trials.map(({ problem }) => problem.rows.classes));
    for (const length of [1, 2, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257]) {
      expect(lengths).toContain(length);
    }
  });

  test('that fail are named with all of their parameters', async () => {
    const right = (await exact.open()) as Backend;
    // The blocks of a mask in order, each for as many blocks of rows, where they should take turns.
    const wrong = delegate(right, {
      kernels: {
        ...right.kernels,
        logSoftmax(out, x, rows, parameters) {
          const { mask } = parameters;
          if (!mask || mask.outer === 1) return right.kernels?.logSoftmax?.(out, x, rows, parameters);
          const block = rows.classes * rows.inner;
          const { data } = mask.buffer as { data: Uint8Array };
          const spread = Uint8Array.from({ length: rows.outer * block }, (_, i) => {
            return data[Math.floor((Math.floor(i / block) * mask.outer) / rows.outer) * block + (i % block)];
          });
          const buffer = { dtype: 'bool', data: spread };
          return right.kernels?.logSoftmax?.(out, x, rows, { ...parameters, mask: { buffer, outer: rows.outer } });
        },
      },
    });
    const [found] = cases.filter(({ id }) => id === 'combinations/log-softmax-values:set=non-finite');
    await expect(found.run(wrong)).rejects.toThrow(
      /^\d+ of \d+ combinations fail, the first with operation=logSoftmax;shape=[\dx]+;axis=-?\d;input=[a-z]+;.*mask=[\dx]+.*;out=[a-z0-9 ]+: logSoftmax: element \d+ is /,
    );
    await found.run(right);
  });
});

test('everything is checked before the first failure is reported', async () => {
  const checked: number[] = [];
  const check = async (n: number) => {
    checked.push(n);
    if (n > 1) throw new Error(`${n} is too large`);
  };
  await expect(checkEach([1, 2, 3], (n) => `n=${n}`, check)).rejects.toThrow(
    '2 of 3 combinations fail, the first with n=2: 2 is too large',
  );
  expect(checked).toEqual([1, 2, 3]);
  // A kernel that declines fails nothing else, and nothing else fails for it; if every failure is that of one, its error is left as it is.
  const failing = (...codes: readonly ErrorCode[]) =>
    checkEach(codes, String, (code) => Promise.reject(new SoftgradError(code, code)));
  await expect(failing('ERR_UNSUPPORTED', 'ERR_UNSUPPORTED')).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  for (const other of ['ERR_SHAPE', 'ERR_VALUE'] as const) {
    for (const codes of [
      [other, 'ERR_UNSUPPORTED'],
      ['ERR_UNSUPPORTED', other],
    ] as const) {
      await expect(failing(...codes)).rejects.toThrow(`1 of 2 combinations fail, the first with ${other}: ${other}`);
    }
  }
  await checkEach([1], String, check);
});
