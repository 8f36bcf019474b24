import { describe, expect, test } from 'vitest';
import { hvpLaws } from '../conformance/cases/laws/hvp.js';
import { invarianceLaws } from '../conformance/cases/laws/invariance.js';
import type { Law } from '../conformance/cases/laws/law.js';
import { optionLaws } from '../conformance/cases/laws/options.js';
import { outputLaws } from '../conformance/cases/laws/output.js';
import { validationLaws } from '../conformance/cases/laws/validation.js';
import { exact } from '../conformance/index.js';
import { allOperations } from '../conformance/operations/all.js';
import type { Operation } from '../conformance/operations/operation.js';
import type { Backend, Tensor } from '../src/index.js';

const laws: readonly Law[] = [...outputLaws, ...invarianceLaws, ...optionLaws, ...hvpLaws, ...validationLaws];
const backend = (await exact.open()) as Backend;
const operations = ['softmax', 'softmax.vjp', 'sigmoid.hvp', 'crossEntropy.loss[tensor]'].map((name) => {
  const [operation] = allOperations.filter((candidate) => candidate.name === name);
  return operation;
});

/** An operation of which one call, among those that throw, returns a result. */
function accepting(operation: Operation, accepted: number) {
  let refusals = 0;
  const apply: Operation['apply'] = (tensors, options, problem) => {
    try {
      return operation.apply(tensors, options, problem);
    } catch (error) {
      if (refusals++ === accepted) return undefined as never;
      throw error;
    }
  };
  return { operation: { ...operation, apply }, refusals: () => refusals };
}

/** The message of the error that a law rejects with. */
async function said(law: Law, operation: Operation): Promise<string> {
  return law.run(backend, operation).then(
    () => 'passes',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

test('a call that accepts one thing that it must refuse fails the law, which says what was accepted', async () => {
  const messages: string[] = [];
  for (const law of laws) {
    for (const operation of operations.filter((candidate) => law.appliesTo?.(candidate) ?? true)) {
      const right = accepting(operation, -1);
      expect(await said(law, right.operation)).toBe('passes');
      for (let call = 0; call < right.refusals(); call++) {
        messages.push(`${law.name}: ${await said(law, accepting(operation, call).operation)}`);
      }
    }
  }
  await expect(`${messages.join('\n')}\n`).toMatchFileSnapshot('refusals.txt');
});

describe('a result that is used after it was disposed', () => {
  /** An operation whose results are tensors with other members. */
  const returning = (operation: Operation, replaced: (result: Tensor) => Partial<Tensor>): Operation => {
    const real = new Map<unknown, Tensor>();
    return {
      ...operation,
      apply(tensors, { out, ...options }, problem) {
        const own = real.get(out) ?? out;
        const result = operation.apply(tensors, own ? { ...options, out: own } : options, problem);
        const other = new Proxy(result, {
          get: (target, name) => Reflect.get({ ...replaced(result) }, name) ?? Reflect.get(target, name, target),
        });
        real.set(other, result);
        return other;
      },
    };
  };
  const [softmax] = operations;
  const [law] = validationLaws.filter(({ name }) => name === 'used-after-dispose');

  test('says that it is disposed', async () => {
    const undead = returning(softmax, (result) => ({ dispose: () => result.dispose(), disposed: undefined as never }));
    expect(await said(law, undead)).toBe('passes');
    const alive = returning(softmax, () => ({ dispose: () => {} }));
    expect(await said(law, alive)).toBe('softmax: a disposed result does not say so');
  });

  test('has no data', async () => {
    const readable = returning(softmax, (result) => ({
      dispose: () => result.dispose(),
      data: async () => new Float32Array(12) as never,
    }));
    expect(await said(law, readable)).toBe('data of a disposed result: expected ERR_DISPOSED, nothing was thrown');
  });
});
