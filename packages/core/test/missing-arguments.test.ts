import { beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { setBackend, tensor } from '../src/index.js';
import { type Op, table } from '../src/ops/table.js';
import { failure } from './failure.js';

beforeAll(async () => {
  await setBackend(exact);
});

const logits = [[1, 2, 3]];
const probabilities = [[0.25, 0.25, 0.5]];
const logProbabilities = [[-2, -2, -0.25]];
const direction = [[0.5, -1, 0.25]];

type NamedArguments = Readonly<Record<string, unknown>>;

const ofSoftmax = {
  value: { logits },
  linearize: { logits },
  jacobian: { probabilities },
  vjp: { probabilities, cotangent: direction },
  jvp: { probabilities, tangent: direction },
  hvp: { probabilities, cotangent: direction, tangent: direction },
  doubleBackward: { probabilities, cotangent: direction, upstream: direction },
};

const ofRelu = {
  value: { x: logits },
  linearize: { x: logits },
  jacobian: { y: probabilities },
  vjp: { y: probabilities, cotangent: direction },
  jvp: { y: probabilities, tangent: direction },
};

/** Every function of core with the arguments of each of its members, in their order. */
const members: Readonly<Record<Op, Readonly<Record<string, NamedArguments>>>> = {
  softmax: ofSoftmax,
  softmin: ofSoftmax,
  logSoftmax: {
    value: { logits },
    linearize: { logits },
    jacobian: { logProbabilities },
    vjp: { logProbabilities, cotangent: direction },
    jvp: { logProbabilities, tangent: direction },
    hvp: { logProbabilities, cotangent: direction, tangent: direction },
  },
  logSumExp: {
    value: { logits },
    linearize: { logits },
    gradient: { logits },
    vjp: { logits, cotangent: [2] },
    jvp: { logits, tangent: direction },
    hvp: { logits, cotangent: [2], tangent: direction },
  },
  sigmoid: { ...ofRelu, hvp: { y: probabilities, cotangent: direction, tangent: direction } },
  relu: ofRelu,
  crossEntropy: {
    value: { logits, target: [2] },
    loss: { logits, target: [2] },
    gradient: { logits, target: [2] },
    vjp: { logits, target: [2], cotangent: 2 },
    jvp: { logits, target: [2], tangent: direction },
    hvp: { logits, target: [2], cotangent: 2, tangent: direction },
  },
};

type Callable = (...given: readonly unknown[]) => unknown;

const calls = (Object.keys(members) as Op[]).flatMap((op) =>
  Object.entries(members[op]).map(([member, named]) => {
    const call = (member === 'value' ? table[op] : Reflect.get(table[op], member)) as Callable;
    return { operation: member === 'value' ? op : `${op}.${member}`, call, named };
  }),
);

test('every member of every function is here', () => {
  for (const op of Object.keys(members) as Op[])
    expect(['value', ...Object.keys(table[op])].sort()).toEqual(Object.keys(members[op]).sort());
});

const inBothForms = (named: NamedArguments) => {
  const [names, values] = [Object.keys(named), Object.values(named)];
  const asTensors = values.map((value, k) =>
    tensor(value as never, { dtype: names[k] === 'target' ? 'int32' : 'float32' }),
  );
  // Tensors in some places, and arrays in others.
  return { names, forms: [values, asTensors, values.map((value, k) => (k % 2 === 0 ? asTensors[k] : value))] };
};

describe.each(calls)('$operation', ({ operation, call, named }) => {
  const saysThat = (name: string | undefined, what: string, given: readonly unknown[]) => {
    const [code, message] = failure(() => call(...given));
    expect(code).toBe('ERR_DTYPE');
    expect(message).toBe(
      name === 'target' && what === 'undefined'
        ? `${operation}: target is undefined; expected class indices or probabilities`
        : `${operation}: ${name}: cannot read ${what}; expected nested arrays, a typed array, or an object with data and shape`,
    );
  };

  test('names the first argument that is missing', () => {
    const { names, forms } = inBothForms(named);
    for (const given of forms) {
      for (const [k, name] of names.entries()) {
        saysThat(name, 'undefined', given.slice(0, k));
        saysThat(name, 'undefined', given.with(k, undefined));
        saysThat(
          name,
          'undefined',
          given.map((value, at) => (at < k ? value : undefined)),
        );
        if (k > 0) saysThat(name, 'an object (Object)', [...given.slice(0, k), { axis: 0 }]);
      }
    }
  });

  test('names an argument that does not fit, and not one after it that is missing', () => {
    const { names, forms } = inBothForms(named);
    for (const given of forms) {
      for (const [k, name] of names.entries()) {
        if (k === 0 || name === 'target') continue;
        const refused = `${operation}: ${name} is (1, 1, 2), expected (`;
        for (const other of [[[[1, 2]]], tensor([[[1, 2]]])]) {
          const [code, message] = failure(() => call(...given.slice(0, k), other));
          expect([code, message.slice(0, refused.length)]).toEqual(['ERR_SHAPE', refused]);
        }
      }
    }
  });
});

test.each([
  ['crossEntropy.hvp', () => table.crossEntropy.hvp(logits, [2], direction, undefined as never), '()'],
  ['crossEntropy.hvp', () => table.crossEntropy.hvp(tensor(logits), [2], tensor(direction), {} as never), '()'],
  ['logSumExp.hvp', () => table.logSumExp.hvp(logits, direction, undefined as never), '(1,)'],
  ['logSumExp.hvp', () => table.logSumExp.hvp(tensor(logits), tensor(direction), { axis: 1 } as never), '(1,)'],
] as const)('%s with a tangent in the place of its cotangent names the cotangent', (operation, call, expected) => {
  expect(failure(call)).toEqual(['ERR_SHAPE', `${operation}: cotangent is (1, 3), expected ${expected}`]);
});

test('the derivatives of linearize name the direction that is missing', () => {
  for (const op of ['softmax', 'softmin', 'logSoftmax', 'logSumExp', 'sigmoid', 'relu'] as const) {
    const { vjp, jvp } = table[op].linearize(logits) as unknown as Record<string, Callable>;
    expect(failure(() => vjp?.())[1]).toContain(`${op}.linearize.vjp: cotangent: cannot read undefined`);
    expect(failure(() => jvp?.())[1]).toContain(`${op}.linearize.jvp: tangent: cannot read undefined`);
  }
});
