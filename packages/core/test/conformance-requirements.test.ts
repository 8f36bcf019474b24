import { describe, expect, test } from 'vitest';
import { defineCase, type Requirements, unmet } from '../conformance/case.js';
import { delegate } from '../conformance/delegate.js';
import { cases, conformance, exact } from '../conformance/index.js';
import type { Backend, Supports } from '../src/index.js';

const right = (await exact.open()) as Backend;
const { kernels: all, basis, ...storageAndThreeKernels } = delegate(right, {});
const announcing = (supports: Partial<Supports>) => delegate(right, { supports: { ...right.supports, ...supports } });

/** The exact backend without an optional member. */
function lacking(member: 'readSync' | 'view'): Backend {
  const { [member]: _, ...others } = delegate(right, {});
  return others as Backend;
}

/** The ids that are skipped on a backend and not on the exact one, with the reasons. */
async function skippedOn(backend: Backend): Promise<ReadonlyMap<string, string>> {
  const reasons = (bound: Awaited<ReturnType<typeof conformance>>) =>
    new Map(bound.flatMap(({ id, skip }) => (skip === null ? [] : [[id, skip] as const])));
  const usual = reasons(await conformance(right, { composed: false }));
  const skipped = reasons(await conformance(backend, { composed: false }));
  return new Map([...skipped].filter(([id]) => !usual.has(id)));
}

describe('the requirements of a case', () => {
  const small = announcing({ dtypes: ['float32'], limits: { elements: 100, classes: 10 } });
  const {
    readSync: _,
    view: __,
    ...asynchronous
  } = announcing({
    inPlace: false,
    nonFinite: 'unspecified',
    subnormals: 'flush',
  });
  const weak = asynchronous as Backend;
  const bare = storageAndThreeKernels as Backend;
  const fused = { ...storageAndThreeKernels, kernels: { relu: all?.relu } } as Backend;
  const composing = { ...storageAndThreeKernels, basis } as Backend;

  test.for<[Requirements, Backend, string | null]>([
    [{}, bare, null],
    [{ dtype: 'float64' }, small, 'has no float64'],
    [{ dtype: 'float32' }, small, null],
    [{ lacksDType: 'float32' }, small, 'has float32'],
    [{ lacksDType: 'float64' }, small, null],
    [{ classes: 10, elements: 100 }, small, null],
    [{ classes: 11 }, small, 'limits rows to 10 classes'],
    [{ elements: 101 }, small, 'limits buffers to 100 elements'],
    [{ features: ['basis'] }, bare, 'does not announce basis'],
    [{ features: ['basis'] }, composing, null],
    [{ features: ['kernels'] }, bare, 'does not announce kernels'],
    [{ features: ['kernels'] }, fused, null],
    [{ features: ['readSync', 'view', 'inPlace', 'nonFinite: ieee', 'subnormals: preserve'] }, right, null],
    [{ features: ['readSync'] }, weak, 'does not announce readSync'],
    [{ features: ['view'] }, weak, 'does not announce view'],
    [{ features: ['inPlace'] }, weak, 'does not announce inPlace'],
    [{ features: ['basis', 'nonFinite: ieee'] }, weak, 'does not announce nonFinite: ieee'],
    [{ features: ['subnormals: preserve'] }, weak, 'does not announce subnormals: preserve'],
    [{ weakness: 'readSync' }, weak, null],
    [{ weakness: 'subnormals: preserve' }, right, 'announces subnormals: preserve'],
    [{ kernel: 'relu' }, fused, null],
    [{ kernel: 'relu' }, composing, null],
    [{ kernel: 'sigmoid' }, fused, 'has neither kernels.sigmoid nor a basis'],
    [{ kernel: 'relu' }, bare, 'has neither kernels.relu nor a basis'],
    [{ kernel: null }, fused, 'has no basis'],
    [{ kernel: null }, composing, null],
    [{ lacks: 'relu' }, bare, null],
    [{ lacks: 'sigmoid' }, fused, null],
    [{ lacks: 'relu' }, fused, 'has kernels.relu'],
    [{ lacks: 'relu' }, composing, 'has a basis'],
    [{ lacks: null }, composing, 'has a basis'],
    [{ lacks: null }, fused, null],
    // A required kernel is there, and may decline.
    [{ kernel: 'vjp' }, bare, null],
  ])('%j', ([requires, backend, reason]) => {
    expect(unmet(requires, backend)).toBe(reason);
  });
});

/** Laws about what a backend lacks: that ERR_UNSUPPORTED says so. */
const isUnsupported = (id: string) => id.startsWith('laws/unsupported:');

/** The kernels that each other law calls on a backend with all of them and no basis. */
const calledBy: ReadonlyMap<string, ReadonlySet<string>> = await (async () => {
  const found = new Map<string, Set<string>>();
  let calls = new Set<string>();
  const noting = ([name, kernel]: readonly [string, (...args: readonly unknown[]) => unknown]) => {
    const noted = (...args: readonly unknown[]) => {
      calls.add(name);
      return kernel(...args);
    };
    return [name, noted];
  };
  const kernels = Object.fromEntries(Object.entries(all ?? {}).map((entry) => noting(entry as never)));
  const backend = { ...storageAndThreeKernels, kernels } as Backend;
  for (const { id, section, requires, run } of cases) {
    if (section !== 'laws' || isUnsupported(id) || unmet(requires, backend) !== null) continue;
    calls = new Set();
    await run(backend);
    found.set(id, calls);
  }
  return found;
})();

// The suite takes ERR_UNSUPPORTED of a kernel for a decline; here no kernel declines, so it would be a requirement that is not stated.
test.each(Object.keys(all ?? {}))(
  'without kernels.%s and a basis, every law that still applies can run',
  async (missing) => {
    const others = Object.entries(all ?? {}).filter(([name]) => name !== missing);
    const backend = { ...storageAndThreeKernels, kernels: Object.fromEntries(others) } as Backend;
    const laws = cases.filter(({ section, requires }) => section === 'laws' && unmet(requires, backend) === null);
    expect(laws.length).toBeGreaterThan(200);
    expect(laws.filter(({ id }) => calledBy.get(id)?.has(missing)).map(({ id }) => id)).toEqual([]);
    expect([...calledBy.values()].some((called) => called.has(missing))).toBe(true);
    // Each of the others was run with all kernels, and without one that it does not call it does the same.
    for (const { id, run } of laws) {
      if (isUnsupported(id)) await run(backend);
      else expect(calledBy.has(id)).toBe(true);
    }
  },
);

describe('the cases that are skipped for a weakness', () => {
  test.for<[Backend, RegExp, string]>([
    [lacking('readSync'), /^storage\/read-sync:/, 'does not announce readSync'],
    [lacking('view'), /^storage\/view:/, 'does not announce view'],
    [announcing({ inPlace: false }), /\/in-place/, 'does not announce inPlace'],
    [announcing({ dtypes: ['float32', 'float16'] }), /[:;]dtype=float64$/, 'has no float64'],
    [announcing({ dtypes: ['float32', 'float64'] }), /[:;]dtype=float16$/, 'has no float16'],
    [announcing({ subnormals: 'flush' }), /never/, ''],
  ])('%#: every case that is about it, and no other', async ([backend, about, reason]) => {
    const skipped = await skippedOn(backend);
    const expected = cases.filter(({ id }) => about.test(id) && !id.startsWith('supports/')).map(({ id }) => id);
    expect([...skipped.keys()].sort()).toEqual(expected.sort());
    for (const said of skipped.values()) expect(said).toBe(reason);
  });

  test('limits: every case whose rows are longer, and no other', async () => {
    const skipped = await skippedOn(announcing({ limits: { elements: 2 ** 28, classes: 64 } }));
    const longest = cases.flatMap(({ id }) => {
      const [, shape, axis] = /shape=([\dx.]+);axis=(\d)/.exec(id) ?? [];
      return shape ? [[id, Number(shape.split('x')[Number(axis)].split('..').at(-1))] as const] : [];
    });
    expect(longest.length).toBeGreaterThan(500);
    for (const [id, classes] of longest) {
      expect([id, skipped.get(id)]).toEqual([id, classes > 64 ? 'limits rows to 64 classes' : undefined]);
    }
  });

  /** Where else would NaN or an infinity come from. */
  const marked =
    /input=(removed|nan|infinite|nothing)|mask=|non-finite|nothing-counted|masked-directions|masked-entries|calls-in-turn|remembers-its-call|undefined-rows|beside-nan/;
  /** Cases whose only operands with −Infinity are logits, which every backend takes. */
  const ofLogits = /^(softmax|softmin|log-sum-exp|cross-entropy)\/|^log-softmax\/values:/;

  test('nonFinite: exactly the cases with NaN or an infinity in operands or results, except for logits of −Infinity', async () => {
    const written = new Set<number>();
    const read = new Set<number>();
    const note = (values: ArrayLike<number>, into: Set<number>) => {
      for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) into.add(values[i]);
    };
    const watched: Backend = delegate(announcing({ nonFinite: 'unspecified' }), {
      write(buffer, host) {
        note(host, written);
        right.write(buffer, host);
      },
      async read(buffer) {
        const host = await right.read(buffer);
        note(host, read);
        return host;
      },
    });
    const skipped = await skippedOn(watched);
    expect([...skipped.keys()].filter((id) => !marked.test(id))).toEqual([]);
    const tried = cases.filter(
      ({ id, requires }) => marked.test(id) && !/^supports|dtype=/.test(id) && (requires.classes ?? 0) <= 10,
    );
    const withLogits: string[] = [];
    for (const { id, run } of tried) {
      written.clear();
      read.clear();
      await run(watched);
      const needsIeee = [...written, ...read].some(
        (value) => value !== Number.NEGATIVE_INFINITY || read.size > 0 || !ofLogits.test(id),
      );
      expect([id, skipped.get(id)]).toEqual([id, needsIeee ? 'does not announce nonFinite: ieee' : undefined]);
      if (written.size > 0 && !needsIeee) withLogits.push(id);
    }
    // Softmax and log-sum-exp with some entries of −Infinity are required of every backend.
    expect(withLogits).toEqual(
      expect.arrayContaining([
        'softmax/values:shape=7x5;axis=1;input=removed',
        'log-sum-exp/values:shape=7x5;axis=1;input=removed',
        'log-sum-exp/gradient:shape=7x5;axis=0;input=removed',
      ]),
    );
  });

  test('a basis: cases about its members say that there is none', async () => {
    const bare = storageAndThreeKernels as Backend;
    const ofBasis = cases.filter(({ section, id }) => section === 'basis' && !id.includes('dtype='));
    expect(ofBasis.length).toBeGreaterThan(10);
    for (const { run } of ofBasis) await expect(run(bare)).rejects.toThrow('the backend has no basis');
  });

  test('a basis and kernels: nothing that works without them', async () => {
    const bare = storageAndThreeKernels as Backend;
    const skipped = await skippedOn(bare);
    const needed = [...skipped].filter(
      ([, reason]) => reason !== 'does not announce kernels' && reason !== 'does not announce basis',
    );
    const failed = new Map<string, string>();
    for (const [id] of needed.filter(([id]) => /^[a-z-]+\/[a-z-]+:.*shape=7x5;axis=1;input=(spread|wide)/.test(id))) {
      const found = cases.find((c) => c.id === id);
      failed.set(
        id,
        await (found?.run(bare) ?? Promise.resolve()).then(
          () => 'passes',
          (error) => error.code,
        ),
      );
    }
    expect(failed.size).toBeGreaterThan(50);
    expect(new Set(failed.values())).toEqual(new Set(['ERR_UNSUPPORTED']));
  });
});

test('requirements that depend on expected results are computed on first use, and once', () => {
  let count = 0;
  const requires = () => ({ classes: ++count });
  const one = defineCase('section/what', requires, async () => {});
  expect(count).toBe(0);
  expect([one.requires, one.requires, { ...one }.requires]).toEqual([{ classes: 1 }, { classes: 1 }, { classes: 1 }]);
  expect(count).toBe(1);
});

test('an unknown option of the suite is refused, with the one that was meant', async () => {
  await expect(conformance(right, { timeoutMS: 5 } as never)).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message:
      "conformance: unknown option 'timeoutMS' (did you mean 'timeoutMs'?); expected one of required, composed, timeoutMs, open",
  });
});
