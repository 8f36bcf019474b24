import { beforeEach, describe, expect, test } from 'vitest';
import { delegate, wrapped } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  type CrossEntropyOptions,
  SoftgradError,
  scope,
  setBackend,
  type Tensor,
  tensor,
  traceTensors,
} from '../src/index.js';
import { type Definition, derivativeNames, directionsOf, type MemberName } from '../src/ops/definition.js';
import { definitions, type Op, table } from '../src/ops/table.js';
import type { DeviceTensor } from '../src/tensor/device-tensor.js';
import { openOutOfPlace } from './out-of-place.js';

// Whichever call into the backend fails, in whichever function of the table, no buffer and no tensor remains, and an operand that was written to says so.

/** A backend whose calls are counted and can fail: an allocation for want of memory, any other after it has written its result. */
interface Failing {
  readonly backend: Backend;
  readonly buffers: ReadonlySet<unknown>;
  /** Runs `action`, and lets its n-th call into the backend fail. True if it comes to an end before. */
  succeeds(n: number, action: () => void): boolean;
}

const engineFailed = 'the engine failed';

function failing(right: Backend): Failing {
  const buffers = new Set<unknown>();
  let left = Number.POSITIVE_INFINITY;
  const after =
    <A extends readonly unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      const result = call(...args);
      if (left-- === 0) throw new Error(engineFailed);
      return result;
    };
  const { basis, kernels } = right;
  const backend = delegate(right, {
    alloc(length, dtype, use) {
      if (left-- === 0) throw new SoftgradError('ERR_OUT_OF_MEMORY', 'no memory');
      const buffer = right.alloc(length, dtype, use);
      buffers.add(buffer);
      return buffer;
    },
    free(buffer) {
      if (!buffers.delete(buffer)) throw new Error('a buffer was freed twice');
      right.free(buffer);
    },
    write: after(right.write),
    softmax: after(right.softmax),
    jacobian: after(right.jacobian),
    vjp: after(right.vjp),
    ...(basis && { basis: wrapped(basis, (_, call) => after(call)) }),
    ...(kernels && { kernels: wrapped(kernels, (_, call) => after(call)) }),
  });
  return {
    backend,
    buffers,
    succeeds(n, action) {
      left = n;
      try {
        action();
        return true;
      } catch (error) {
        if (left >= 0) throw error;
        expect((error as Error).message).toMatch(/no memory|the engine failed/);
        return false;
      } finally {
        left = Number.POSITIVE_INFINITY;
      }
    },
  };
}

type Call = (...args: readonly unknown[]) => unknown;

/** A call with its operands, which are new each time. */
interface Subject {
  readonly name: string;
  prepare(backend: Backend): {
    readonly tensors: readonly Tensor[];
    /** Calls the function, with other options than its own if they are given. */
    readonly call: (others?: object) => unknown;
  };
}

const shape = [2, 3, 2];
const values = [0.5, -1, 2, 0.25, -0.75, 1, 0, 3, -2, 0.125, 1.5, -0.5];
const reversed = [...values].reverse();
const padding = [[[true], [true], [false]]];

const make = (backend: Backend, numbers: readonly number[], of: readonly number[] = shape) =>
  tensor([...numbers], { shape: of, dtype: 'float64', backend });

const settings: readonly (readonly [title: string, options: (backend: Backend) => { axis?: number }])[] = [
  ['', () => ({})],
  ['with a mask of the host', () => ({ axis: 1, temperature: 0.3, mask: padding })],
  [
    'with the tensor of a mask, which is broadcast, at a tiny temperature',
    (backend) => ({ axis: 1, temperature: 1e-30, mask: tensor(padding, { backend }) }),
  ],
];

/** Every member of a function of rows or entries, with directions in tensors and on the host, and with each operand as `out`. */
function subjectsOf(name: keyof typeof definitions): Subject[] {
  const definition: Definition = definitions[name];
  const fn = table[name] as unknown as Call & Readonly<Record<MemberName | 'linearize', Call>>;
  const members = (['value', ...derivativeNames] as const).filter((member) => definition[member]);
  return settings.slice(0, definition.over === 'rows' ? 3 : 1).flatMap(([title, optionsOf]) => {
    const named = (what: string) => [name, what, title].filter(Boolean).join(' ');
    const ofMembers = members.flatMap((member): Subject[] => {
      const own = definition[member];
      const call = member === 'value' ? fn : fn[member];
      const ofOutput = member !== 'value' && definition.output !== undefined;
      const isByRow = own?.cotangent === 'rows';
      const subject = (what: string, isOnHost: boolean, into: number | null): Subject => ({
        name: named(`${member}${what}`),
        prepare(backend) {
          const options = optionsOf(backend);
          const x = make(backend, values);
          const first = ofOutput ? (fn(x, options) as Tensor) : x;
          const directions = directionsOf[member].map((direction, k) => {
            if (!isByRow || direction !== 'cotangent') return make(backend, k === 0 ? reversed : values);
            const rows = options.axis === 1 ? [2, 2] : [2, 3];
            return make(backend, values.slice(0, rows[0] * rows[1]), rows);
          });
          const operands = [first, ...directions];
          const out = into === null ? {} : { out: operands[into] };
          const given = directions.map((direction) => (isOnHost ? direction.arraySync() : direction));
          return {
            tensors: operands,
            call: (others = ofOutput ? {} : options) => call(first, ...given, { ...out, ...others }),
          };
        },
      });
      const places = own?.result ? [] : [0, ...directionsOf[member].map((_, k) => k + 1)];
      return [
        subject('', false, null),
        ...(directionsOf[member].length > 0 ? [subject(' with directions of the host', true, null)] : []),
        ...places.filter((k) => !isByRow || k !== 1).map((k) => subject(` into operand ${k}`, false, k)),
      ];
    });
    const linearize: Subject = {
      name: named('linearize'),
      prepare(backend) {
        const options = optionsOf(backend);
        const data = Float64Array.from(values);
        return { tensors: [], call: (others = options) => fn.linearize({ data, shape }, others) };
      },
    };
    const ofOperator = (definition.diagonal ? ['diagonal', 'toDense'] : []).map(
      (member): Subject => ({
        name: named(member),
        prepare(backend) {
          const linear = fn.linearize(make(backend, values), optionsOf(backend)) as Readonly<Record<string, Call>>;
          return { tensors: [linear.value as unknown as Tensor], call: (others) => linear[member](others) };
        },
      }),
    );
    return [...ofMembers, linearize, ...ofOperator];
  });
}

const squares = values.map((value) => value * value);
const indices = [
  [0, 1],
  [-100, 0],
];

const targets = {
  indices: () => indices,
  'a tensor of indices': (backend: Backend) => tensor(indices, { dtype: 'int32', backend }),
  probabilities: () => ({ data: Float64Array.from(squares), shape }),
  'a tensor of probabilities': (backend: Backend) => make(backend, squares),
};

const ofCrossEntropy: readonly (readonly [target: keyof typeof targets, options: CrossEntropyOptions])[] = [
  ['a tensor of indices', {}],
  ['indices', { labelSmoothing: 0.1, weight: [1, 1e-20, 2], temperature: 2 }],
  ['indices', { reduction: 'none', weight: [1e-30, 1, 1e30] }],
  ['a tensor of indices', { weight: [0, 0, 0] }],
  ['probabilities', { reduction: 'sum', temperature: 1e-20 }],
  ['a tensor of probabilities', { reduction: 'none', weight: [1, 2, 3] }],
];

/** Every member of cross-entropy, into new tensors, into those of the caller and into the logits. */
const crossEntropySubjects = ofCrossEntropy.flatMap(([target, options]) =>
  (['value', 'loss', 'gradient', 'vjp', 'jvp', 'hvp'] as const).flatMap((member) => {
    const { crossEntropy } = table;
    const call = (member === 'value' ? crossEntropy : crossEntropy[member]) as Call;
    const isLoss = member === 'loss' || member === 'jvp';
    const places = (['new tensors', 'others', 'the logits'] as const).slice(0, isLoss ? 2 : 3);
    return places.map(
      (into): Subject => ({
        name: `crossEntropy ${member} of ${target} with ${JSON.stringify(options)} into ${into}`,
        prepare(backend) {
          const byRow = options.reduction === 'none';
          const loss = () => make(backend, byRow ? values.slice(0, 4) : [7], byRow ? [2, 2] : []);
          const x = make(backend, values);
          const [g, t] = [loss(), make(backend, reversed)];
          const directions = { value: [], loss: [], gradient: [], vjp: [g], jvp: [t], hvp: [g, t] }[member];
          const gradient = into === 'the logits' ? x : make(backend, values);
          const outs = member === 'value' ? { loss: loss(), gradient } : { out: isLoss ? loss() : gradient };
          const out = into === 'new tensors' ? {} : { out: 'out' in outs ? outs.out : outs };
          const given = targets[target](backend);
          const mask = tensor(padding, { backend });
          return {
            tensors: [x, ...directions, ...Object.values(outs)],
            call: (others = { ...options, axis: 1, mask }) => call(x, given, ...directions, { ...out, ...others }),
          };
        },
      }),
    );
  }),
);

const subjects: Readonly<Record<Op, readonly Subject[]>> = {
  softmax: subjectsOf('softmax'),
  softmin: subjectsOf('softmin'),
  logSoftmax: subjectsOf('logSoftmax'),
  logSumExp: subjectsOf('logSumExp'),
  sigmoid: subjectsOf('sigmoid'),
  relu: subjectsOf('relu'),
  crossEntropy: crossEntropySubjects,
};

/** What a tensor holds, and how often it was written to. */
const stateOf = (x: Tensor) => ({ numbers: [...x.dataSync()], writes: (x as DeviceTensor).writes });

const openExact = async () => (await exact.open()) as Backend;

describe.each<readonly [string, () => Promise<Backend>]>([
  ['with kernels', openExact],
  ['that composes', async () => delegate(await openExact(), { kernels: {} })],
  ['that does not write in place', openOutOfPlace],
])('on a backend %s', (_title, open) => {
  let broken: Failing;
  beforeEach(async () => {
    broken = failing(await open());
    await setBackend(broken.backend);
  });

  /** Runs `body` with a call. The operands, and what the tensor of a mask keeps, are freed afterwards; nothing else may have been made. */
  const withCall = ({ name, prepare }: Subject, body: (prepared: ReturnType<Subject['prepare']>) => void) => {
    scope(() => {
      const prepared = prepare(broken.backend);
      const before = broken.buffers.size;
      body(prepared);
      // A mask that is broadcast stays with its tensor, which the scope disposes.
      expect(broken.buffers.size - before, name).toBeLessThanOrEqual(1);
    });
    expect(broken.buffers.size, name).toBe(0);
  };

  test.each(Object.entries(subjects))('whichever call of %s fails, nothing remains', (_op, all) => {
    for (const subject of all) {
      for (let n = 0, done = false; !done; n += n < 20 ? 1 : 7) {
        withCall(subject, ({ tensors, call }) => {
          const before = tensors.map(stateOf);
          const trace = traceTensors();
          try {
            scope(() => {
              done = broken.succeeds(n, () => call());
              if (!done) expect(trace.live(), `${subject.name}: call ${n}`).toEqual([]);
            });
          } finally {
            trace.stop();
          }
          if (done) return;
          for (const [k, { numbers, writes }] of tensors.map(stateOf).entries()) {
            if (writes === before[k].writes) expect(numbers, `${subject.name}: call ${n}`).toEqual(before[k].numbers);
          }
        });
      }
    }
  });

  const refused: readonly object[] = [
    { temperature: Number.NaN },
    { axis: 7 },
    { mask: [[true, false, true, false, true]] },
    { dim: 1 },
    { labelSmoothing: 2 },
    { weight: [1] },
    { reduction: 'most' },
  ];

  test.each(Object.entries(subjects))('nothing remains of a call of %s that is refused', (_op, all) => {
    for (const subject of all) {
      for (const options of refused) {
        withCall(subject, ({ call }) => expect(() => call(options), subject.name).toThrow(SoftgradError));
      }
      withCall(subject, ({ tensors, call }) => {
        const out = make(broken.backend, [1], [1, 1, 1]);
        expect(() => call({ out }), subject.name).toThrow(SoftgradError);
        out.dispose();
        const [first] = tensors;
        if (first === undefined) return;
        first.dispose();
        expect(() => call(), subject.name).toThrow(SoftgradError);
      });
    }
  });
});
