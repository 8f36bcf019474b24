import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import * as ours from '../src/index.js';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-copies-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Core = typeof ours;
const mine: Core = ours;

/** Another copy of the built package, with edits as another version may have them. */
async function copyOf(name: string, edits: Readonly<Record<string, readonly [from: string, to: string]>> = {}) {
  const copy = join(folder, name);
  cpSync(fileURLToPath(new URL('../dist', import.meta.url)), copy, { recursive: true });
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }');
  for (const [file, [from, to]] of Object.entries(edits)) {
    const text = readFileSync(join(copy, file), 'utf8');
    expect(text).toContain(from);
    writeFileSync(join(copy, file), text.replaceAll(from, to));
  }
  return (await import(/* @vite-ignore */ pathToFileURL(join(copy, 'src/index.js')).href)) as Core;
}

const advice = 'there are two copies of @softgrad/core: npm ls @softgrad/core lists them, npm dedupe merges them';

let theirs: Core;
let x: ours.Tensor;
beforeAll(async () => {
  theirs = await copyOf('same');
  expect(theirs.softmax).not.toBe(ours.softmax);
  await ours.setBackend(exact);
  x = ours.tensor([[1, 2, 3]]);
});

describe('two copies of core', () => {
  test('compute with the tensors of each other, as with their own', async () => {
    const expected = await ours.softmax(x).array();
    const y = theirs.softmax(x);
    expect(await y.array()).toEqual(expected);
    expect(await ours.softmax(y).array()).toEqual(await ours.softmax(ours.softmax(x)).array());
    expect(await theirs.crossEntropy.loss(x, [1]).array()).toBe(await ours.crossEntropy.loss(x, [1]).array());
    const mask = ours.tensor([[true, false, true]]);
    expect(await theirs.softmax(x, { mask }).array()).toEqual(await ours.softmax(x, { mask }).array());
    expect(theirs.isTensor(x)).toBe(true);
  });

  test('know how a tensor of the other one was made', async () => {
    const s = ours.softmax(x, { axis: 0 });
    expect(await theirs.softmax.vjp(s, [[1, 2, 3]]).array()).toEqual([[0, 0, 0]]);
    expect(() => theirs.logSoftmax.vjp(s, [[1, 2, 3]])).toThrow('were made by softmax; use softmax.vjp instead');
  });

  test.each(['softmax', 'softmin', 'logSoftmax', 'logSumExp', 'sigmoid', 'relu'] as const)(
    'check the derivatives of %s of the other one',
    async (name) => {
      expect(await ours.gradcheck(theirs[name], x)).toEqual(await ours.gradcheck(mine[name], x));
      if (name === 'relu') return;
      expect(await ours.gradgradcheck(theirs[name], x)).toEqual(await ours.gradgradcheck(mine[name], x));
    },
  );

  test('check the derivatives of crossEntropy of the other one, and call them', async () => {
    const report = await ours.gradcheck(theirs.crossEntropy, x, { target: [1] });
    expect(report).toEqual(await ours.gradcheck(ours.crossEntropy, x, { target: [1] }));
    const wrong = Object.assign(() => {}, theirs.crossEntropy, { vjp: () => ours.tensor([[7, 7, 7]]) });
    expect((await ours.gradcheck(wrong as never, x, { target: [1] })).ok).toBe(false);
  });

  test('dispose the tensors of each other at the end of a scope, and keep those of the result', () => {
    const made: ours.Tensor[] = [];
    for (const [outer, inner] of [
      [ours, theirs],
      [theirs, ours],
    ]) {
      const result = outer.scope(() => {
        made.push(inner.softmax(x), outer.softmax(x), inner.keep(outer.softmax(x)));
        return inner.scope(() => {
          made.push(outer.softmax(x));
          return { y: inner.softmax(x), z: outer.softmax(x) };
        });
      });
      made.push(result.y, result.z);
    }
    const each = [true, true, false, true, false, false];
    expect(made.map(({ disposed }) => disposed)).toEqual([...each, ...each]);
    expect(() => theirs.softmax(made[0])).toThrow('was disposed at the end of its scope');
  });

  test('recognise the errors of each other', () => {
    try {
      theirs.softmax(x, { axis: 9 });
      expect.unreachable();
    } catch (error) {
      expect([ours.isSoftgradError(error), error instanceof ours.SoftgradError]).toEqual([true, false]);
    }
  });

  test('have a backend each, and the error of one that has none says that the other has', async () => {
    const expected = expect.objectContaining({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: `no backend is set in this copy of core, but in another one; ${advice}`,
    });
    expect(() => theirs.softmax([1, 2, 3])).toThrow(expected);
    expect(() => theirs.getBackend()).toThrow(expected);
    ours.register('one', async () => ({ default: exact as ours.BackendProvider }));
    await expect(theirs.setBackend('one')).rejects.toThrow(
      `no backend is named 'one': none is registered in this copy of core, but in another one; ${advice}`,
    );
    const backend = await theirs.setBackend(ours.getBackend());
    expect(backend).toBe(ours.getBackend());
    expect([await theirs.softmax([1, 2, 3]).array()]).toEqual(await ours.softmax(x).array());
  });
});

describe('two versions of core', () => {
  let later: Core;
  beforeAll(async () => {
    later = await copyOf('later', {
      'src/tensor/brand.js': ['layout = 1', 'layout = 2'],
      'src/ops/sigmoid.js': ["name: 'sigmoid'", "name: 'swish'"],
    });
  });

  test('whose tensors are different refuse those of each other', () => {
    const refused = (start: string) =>
      expect.objectContaining({
        code: 'ERR_VALUE',
        message: `${start} is a tensor of another version of core; ${advice}`,
      });
    const y = later.tensor([[1, 2, 3]], { backend: ours.getBackend() });
    expect(() => ours.softmax(y)).toThrow(refused('softmax: logits'));
    expect(() => later.softmax(x)).toThrow(refused('softmax: logits'));
    expect(() => ours.softmax.vjp(x, y)).toThrow(refused('softmax.vjp: cotangent'));
    expect(() => ours.softmax([[1, 2, 3]], { out: y })).toThrow(refused('softmax: out'));
    expect(() => ours.tensor([[1, 2, 3]], { out: y })).toThrow(refused('tensor: out'));
    expect(() => ours.softmax(x, { mask: y })).toThrow(refused('softmax: mask'));
    expect(() => ours.crossEntropy(x, y)).toThrow(refused('crossEntropy: target'));
    expect(() => ours.bufferOf(ours.getBackend(), y)).toThrow(refused('bufferOf: x'));
  });

  test('refuse to check a function that only the other one has', async () => {
    for (const check of [ours.gradcheck, ours.gradgradcheck]) {
      await expect((check as typeof ours.gradcheck)(later.sigmoid, x)).rejects.toMatchObject({
        code: 'ERR_VALUE',
        message: `${check.name}: swish is of another version of core; ${advice}`,
      });
    }
  });
});
