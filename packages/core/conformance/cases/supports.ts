import { type Backend, empty, type FloatDType, softmax, tensor } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, firstDType, floatDTypes, unmet } from '../case.js';
import { assert, assertClose, assertThrows } from '../check.js';
import { delegate } from '../delegate.js';
import { plain, runKernel } from '../kernel.js';
import { kernelNames, unknownFunctions, verbNames } from '../members.js';
import { precisionOf } from '../precision.js';

/**
 * What a backend announces is checked both ways: the other cases test its strengths, and a weakness that it announces must be
 * demonstrable. `inPlace: false` and `expUlp` are exceptions, because a backend may be better than announced by chance: of these only the bounds are checked.
 */
export function supportsCases(others: readonly ConformanceCase[]): readonly ConformanceCase[] {
  return [
    defineKernelCase('supports/plain-data', {}, async ({ name, supports }) => {
      const { dtypes, limits, device, expUlp } = supports;
      assert(isPlainData(supports), 'supports is not plain data: it must survive JSON');
      assert(name.length > 0, 'the backend has no name');
      assert(device.length > 0, 'supports.device is empty');
      assert(dtypes.length > 0, 'supports.dtypes is empty');
      for (const dtype of dtypes) assert(floatDTypes.includes(dtype), `supports.dtypes has ${dtype}`);
      assert(limits.elements > 0 && limits.classes > 0, 'supports.limits must be above 0');
      assert(expUlp.base >= 0 && expUlp.slope >= 0, 'supports.expUlp must not be negative');
    }),
    defineKernelCase('supports/known-members', {}, async ({ basis = {}, kernels = {} }) => {
      assertKnown('kernels', kernels, kernelNames);
      assertKnown('basis', basis, verbNames);
    }),
    defineKernelCase('supports/exp-ulp', {}, async ({ supports }) => {
      const { base, slope } = supports.expUlp;
      const relative = 2 * (base + slope * 20) * 2 ** -24;
      assert(
        relative <= 1e-5,
        `expUlp allows exp(−20) an error of ${relative.toExponential(1)}; at most 1e-5 is accepted`,
      );
    }),
    defineKernelCase('supports/read-sync:declared=false', { weakness: 'readSync' }, async (backend) => {
      const x = tensor([1], { backend, dtype: firstDType(backend) });
      await assertThrows('dataSync', 'ERR_UNSUPPORTED', () => x.dataSync());
      x.dispose();
    }),
    defineKernelCase('supports/host-view:declared=false', { weakness: 'view' }, async (backend) => {
      const x = tensor([1], { backend, dtype: firstDType(backend) });
      await assertThrows('view', 'ERR_UNSUPPORTED', () => x.view());
      x.dispose();
    }),
    ...floatDTypes.map((dtype) =>
      defineKernelCase(`supports/dtype:declared=absent;dtype=${dtype}`, { lacksDType: dtype }, async (backend) => {
        await assertThrows(`a ${dtype} tensor`, 'ERR_DTYPE', () => tensor([1], { backend, dtype }));
      }),
    ),
    defineKernelCase('supports/limits:elements', {}, async (backend) => {
      const dtype = firstDType(backend);
      const most = backend.supports.limits.elements;
      await assertThrows(`${most} + 1 elements`, 'ERR_OUT_OF_MEMORY', () => empty([most + 1], { backend, dtype }));
    }),
    defineKernelCase('supports/limits:classes', {}, async (backend) => {
      const dtype = firstDType(backend);
      const most = backend.supports.limits.classes;
      // No row of that length is allocated: the operation is refused because of the shape.
      const tooLong = empty([0, most + 1], { backend, dtype });
      await assertThrows(`softmax of ${most} + 1 classes`, 'ERR_UNSUPPORTED', () => softmax(tooLong));
      tooLong.dispose();
    }),
    defineKernelCase(
      'supports/subnormals:declared=flush',
      { dtype: 'float32', weakness: 'subnormals: preserve' },
      async (backend) => {
        const kept = await subnormalsKept(backend);
        assert(
          !kept,
          'supports.subnormals is flush, but float32 results below 2⁻¹²⁶ keep their value: announce preserve',
        );
      },
    ),
    defineKernelCase('supports/non-finite:declared=unspecified', { weakness: 'nonFinite: ieee' }, (backend) =>
      assertWeakness(
        backend,
        delegate(backend, { supports: { ...backend.supports, nonFinite: 'ieee' } }),
        others.filter(({ requires }) => requires.features?.includes('nonFinite: ieee')),
        'supports.nonFinite is unspecified',
        'ieee',
      ),
    ),
    defineKernelCase('supports/range:declared=ordinary', { weakness: 'range: full' }, (backend) =>
      assertWeakness(
        backend,
        delegate(backend, { supports: { ...backend.supports, range: 'full' } }),
        others.filter(({ requires }) => requires.features?.includes('range: full')),
        'supports.range is ordinary',
        'full',
      ),
    ),
  ];
}

/** @throws Error if every case passes that would apply to the backend if it announced the strength */
async function assertWeakness(
  backend: Backend,
  asIfStrong: Backend,
  cases: readonly ConformanceCase[],
  announced: string,
  strength: string,
): Promise<void> {
  const probes = cases.filter(({ requires }) => unmet(requires, asIfStrong) === null);
  for (const probe of probes) {
    const failed = await probe.run(backend).then(
      () => false,
      () => true,
    );
    if (failed) return;
  }
  throw new Error(`${announced}, and all ${probes.length} cases of ${strength} pass: announce ${strength}`);
}

/** @throws Error naming functions that core does not know: they are misspelt or belong elsewhere */
function assertKnown(what: string, part: object, known: readonly string[]): void {
  const unknown = unknownFunctions(part, known).map((name) => `${what}.${name}`);
  assert(
    unknown.length === 0,
    `unknown ${unknown.join(', ')}, which core never calls: the members of ${what} are ${known.join(', ')}; helpers belong elsewhere`,
  );
}

/** Text, booleans, finite numbers, and arrays and objects of them: data that can be cloned, stored and printed. */
function isPlainData(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'object' && value !== null && Object.values(value).every(isPlainData);
}

/** Whether softmax, vjp and jacobian all keep results below 2⁻¹²⁶. */
async function subnormalsKept(backend: Parameters<ConformanceCase['run']>[0]): Promise<boolean> {
  const dtype: FloatDType = 'float32';
  const rows = { outer: 1, classes: 2, inner: 1 };
  const { floor } = precisionOf({ ...backend.supports, subnormals: 'preserve' }, dtype);
  const small = 2 ** -130;
  const results = [
    {
      expected: [1, Math.exp(-95)],
      actual: await runKernel(backend, { length: 2, dtype }, [{ values: [0, -95], dtype }], (out, [x]) =>
        backend.softmax(out, x, rows, plain),
      ),
    },
    {
      expected: [-small, small],
      actual: await runKernel(
        backend,
        { length: 2, dtype },
        [
          { values: [1, small], dtype },
          { values: [0, 1], dtype },
        ],
        (out, [s, g]) => backend.vjp(out, s, g, rows, plain),
      ),
    },
    {
      expected: [small, -small, -small, small],
      actual: await runKernel(backend, { length: 4, dtype }, [{ values: [1, small], dtype }], (out, [s]) =>
        backend.jacobian(out, s, rows, plain),
      ),
    },
  ];
  return results.every(({ expected, actual }) => {
    const tolerance = expected.map((value) => 1e-5 * Math.abs(value) + floor);
    try {
      assertClose('', actual, expected, tolerance);
      return true;
    } catch {
      return false;
    }
  });
}
