import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, inject, test } from 'vitest';
import { type LeftOut, testSelection } from '../../../conformance.shared.js';
import { delegate } from '../conformance/delegate.js';
import { type CaseReport, cases, conformance, exact, reportCase, sections, skipReasons } from '../conformance/index.js';
import { type Backend, type BackendProvider, type HostArray, SoftgradError } from '../src/index.js';
import { basis } from '../template/basis.js';
import { MinimalBackend, minimal } from './minimal-backend.js';

/** More rows than a dispatch has workgroups. */
const manyRows: LeftOut = {
  ids: /^row-groups\/many:/,
  cases: 16,
  because: 'there are no workgroups in JavaScript',
};

describe('vitest runs the suite on a third-party backend with storage and three kernels', async () => {
  const bound = await conformance(minimal, { required: true });
  for (const { name, run } of sections(testSelection(bound, { onePerProperty: 94 }))) test(name, run);
});

test('that backend takes less than 60 lines', () => {
  const source = readFileSync(new URL('../template/backend.ts', import.meta.url), 'utf8');
  expect(source.trimEnd().split('\n').length).toBeLessThan(60);
});

describe('with the basis of the template it has every operation', async () => {
  const complete: BackendProvider<HostArray> = {
    ...minimal,
    name: 'complete',
    open: async () => Object.assign(new MinimalBackend(), { basis }),
  };
  const bound = await conformance(complete, { required: true });
  // What core composes of the primitives it composes of every backend's: all cases about them run, and one of each other property.
  const selection = { leftOut: [manyRows], onePerProperty: 279, wholeSections: ['basis'] };
  for (const { name, run } of sections(testSelection(bound, selection))) test(name, run);

  test('nothing is skipped for want of an operation', () => {
    expect(Object.keys(skipReasons(bound)).filter((reason) => reason.includes('basis'))).toEqual(['has a basis']);
  });

  test('only float64 and float16 are missing, as the page about backends says', () => {
    const reasons = Object.keys(skipReasons(bound)).filter((reason) => reason.startsWith('has no '));
    expect(reasons).toEqual(['has no float64', 'has no float16']);
  });
});

describe('float64 in the template, as the page about backends says', () => {
  /** Cases of each thing that float64 needs. */
  const needingMore = /^(softmax\/values|extremes\/(log-|sparse-direction|common-constant)|vjp\/huge).*dtype=float64$/;
  const failures = async (parts: Partial<Backend<HostArray>>, chosen = needingMore) => {
    const template = new MinimalBackend();
    const supports = { ...template.supports, dtypes: ['float32', 'float64'], ...parts.supports };
    const bound = await conformance(Object.assign(template, { basis, ...parts, supports }) as Backend<HostArray>);
    const found = new Map<string, string>();
    for (const { id, skip, run } of bound) {
      if (skip === null && chosen.test(id)) await run().catch((error: Error) => found.set(id, error.message));
    }
    return found;
  };

  test('needs a compensated sum and an announcement of its range, which the errors say', async () => {
    const found = await failures({});
    expect([...found.keys()]).toEqual([
      'extremes/log-sum-exp-vjp:input=peaked;dtype=float64',
      'extremes/log-sum-exp-jvp:input=peaked;dtype=float64',
      'vjp/huge-cotangents:axis=1;dtype=float64',
      'vjp/huge-cotangents:axis=0;dtype=float64',
    ]);
    const [vjp, jvp, ...ranges] = found.values();
    for (const message of [vjp, jvp])
      expect(message).toMatch(/1 of 8 .*shape=10x1000.*; if only this long row .* a sum loses small terms/);
    for (const message of ranges)
      expect(message).toMatch(/ is Infinity, .*; .*or announce supports\.range: 'ordinary'$/);
  });

  test('passes with both', async () => {
    const { supports } = new MinimalBackend();
    const softmax: Backend<HostArray>['softmax'] = (out, x, { outer, classes, inner }, { temperature, mask }) => {
      if (temperature !== 1 || mask) return false;
      for (let row = 0; row < outer * inner; row++) {
        const start = Math.floor(row / inner) * classes * inner + (row % inner);
        const logits = Array.from({ length: classes }, (_, c) => x[start + c * inner]);
        const max = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
        const exps = logits.map((logit) => Math.exp(logit - max));
        const sum = sumOf(exps);
        for (const [c, exp] of exps.entries()) out[start + c * inner] = exp / sum;
      }
    };
    const ordinary = { ...supports, dtypes: ['float32', 'float64'], range: 'ordinary' } as const;
    const chosen = inject('everything') ? /dtype=float64$/ : needingMore;
    expect(await failures({ softmax, supports: ordinary }, chosen)).toEqual(new Map());
  });
});

function sumOf(values: readonly number[]): number {
  let sum = 0;
  let lost = 0;
  for (const value of values) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return Number.isFinite(sum) ? sum + lost : sum;
}

test('a plain loop runs it, and skips cases that need unannounced features, with reasons', async () => {
  const bound = await conformance(minimal);
  const some = bound.filter(({ section }) => ['supports', 'lifecycle'].includes(section));
  for (const c of some) if (c.skip === null) await c.run();
  const reasons = bound.map(({ skip }) => skip);
  expect(reasons).toContain('has neither kernels.logSoftmax nor a basis');
  expect(reasons).toContain('has no float64');
  expect(reasons).toContain('does not announce readSync');
  const unsupported = bound.filter(({ id }) => id.startsWith('laws/unsupported:'));
  expect(unsupported.filter(({ skip }) => skip === null).length).toBeGreaterThan(10);
});

test('node:test runs it unchanged', async () => {
  const file = fileURLToPath(new URL('conformance-node-test.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--test', '--test-reporter=tap', file]);
  expect(stdout).toMatch(/^# fail 0$/m);
  expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(20);
  expect(Number(/^# skipped (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(0);
});

describe('a suite is data', () => {
  test('ids are unique and describe their case', () => {
    const ids = cases.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain('softmax/values:shape=7x5;axis=0;input=wide');
    expect(cases.filter(({ id, section }) => !id.startsWith(`${section}/`))).toEqual([]);
    expect(ids.filter((id) => !/^[a-z-]+\/[a-z-]+(:[^ ]+)?$/.test(id))).toEqual([]);
  });

  test('requirements are plain data', () => {
    const requirements = cases.map(({ requires }) => requires);
    expect(JSON.parse(JSON.stringify(requirements))).toEqual(requirements);
  });

  test('names tell fused from composed runs of the same case', async () => {
    const names = (await conformance(exact)).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const id = 'log-softmax/values:shape=7x5;axis=1;input=wide';
    expect(names).toContain(`exact: ${id}`);
    expect(names).toContain(`exact (composed): ${id}`);
    expect(names.at(-1)).toBe('exact: lifecycle/close');
  });

  test('the composed run can be left out', async () => {
    const names = (await conformance(exact, { composed: false })).map(({ name }) => name);
    expect(names.length).toBe(cases.length);
    expect(names.some((name) => name.includes('(composed)'))).toBe(false);
  });

  test('a case can be run alone', async () => {
    const [c] = (await conformance(exact)).filter(({ id }) => id === 'softmax/values:shape=7x5;axis=0;input=wide');
    await expect(c.run()).resolves.toBeUndefined();
  });

  test('a provider that opens nothing is named', async () => {
    for (const nothing of [undefined, null, 7]) {
      const opening = conformance({ ...minimal, open: async () => nothing as never });
      await expect(opening).rejects.toThrow(`open returned ${nothing}; expected a backend`);
    }
  });

  test('a provider whose function forgets to return null is told', async () => {
    const forgetful = { ...minimal, unavailable: async () => undefined as never };
    await expect(conformance(forgetful)).rejects.toThrow('unavailable returned undefined; expected null, or a text');
  });

  test.each<[string, object | undefined, string]>([
    ['no target', undefined, 'conformance: the target is undefined; expected a provider or an open backend'],
    ['a class', class {}, 'conformance: the target is function; expected a provider or an open backend'],
    ['nothing', {}, 'conformance: the provider lacks name (a string), unavailable (a function), open (a function)'],
    ['no open', { ...minimal, open: 3 }, 'conformance: the provider lacks open (a function)'],
    ['no reason', { ...minimal, unavailable: async () => '' }, 'unavailable returned the text ""; expected null, or'],
    [
      'thrown text',
      { ...minimal, open: () => Promise.reject('no chip') },
      'the text "no chip" was thrown; expected an',
    ],
    ['nothing thrown', { ...minimal, open: () => Promise.reject() }, 'undefined was thrown; expected an Error'],
    ['closed', { ...minimal, open: async () => delegate(await exact.open(), { closed: true }) }, 'mine is closed;'],
  ])('%s is told', async (_, target, message) => {
    await expect(conformance(target as never)).rejects.toThrow(message);
  });

  test('an opened backend is a target as well', async () => {
    const backend = await exact.open();
    for (const c of (await conformance(backend)).slice(-1)) await c.run();
    expect(backend.closed).toBe(true);
  });
});

describe('a backend that is not there', () => {
  const absent: BackendProvider = { ...minimal, name: 'absent', unavailable: async () => 'there is no such device' };

  test('has every case skipped with its reason', async () => {
    const bound = await conformance(absent);
    expect(bound.length).toBe(cases.length);
    expect(new Set(bound.map(({ skip }) => skip))).toEqual(new Set(['there is no such device']));
  });

  test('fails where it is required', async () => {
    const bound = await conformance(absent, { required: true });
    expect(bound.map(({ name, skip }) => [name, skip])).toEqual([['absent: available', null]]);
    await expect(bound[0].run()).rejects.toThrow("absent is required and can't run here: there is no such device");
  });
});

describe('a backend that is incomplete', () => {
  async function incomplete(overrides: object) {
    const backend = Object.assign(delegate((await exact.open()) as Backend, {}), overrides);
    return { backend, bound: await conformance(backend) };
  }

  test('fails the first case with the list of what is missing, and skips the others for that reason', async () => {
    const { backend, bound } = await incomplete({ jacobian: undefined });
    expect(bound.map(({ id }) => id)).toEqual(cases.map(({ id }) => id));
    const [complete, ...others] = bound;
    expect([complete.id, complete.skip]).toEqual(['supports/complete', null]);
    expect(new Set(others.map(({ skip }) => skip))).toEqual(new Set(['lacks jacobian (a function)']));
    await expect(complete.run()).rejects.toThrow('the backend lacks jacobian (a function)');
    expect(backend.closed).toBe(true);
  });

  test.each([
    [{ supports: undefined }, 'lacks supports (an object), supports.limits (an object), supports.expUlp (an object)'],
    [{ read: undefined, free: 1, close: null }, 'lacks read (a function), free (a function), close (a function)'],
    [{ kernels: null, bufferInfo: {} }, 'lacks bufferInfo (a function), kernels (an object)'],
    [
      { kernels: { relu: 1 }, view: 'x', memory: 0 },
      'lacks view (a function), memory (a function), kernels.relu (a function)',
    ],
    [{ basis: {} }, 'lacks basis.unary (a function), basis.binary (a function), basis.reduce (a function) and 2 more'],
  ])('%o', async (overrides, reason) => {
    const { bound } = await incomplete(overrides);
    expect(bound.at(-1)?.skip).toBe(reason);
    await expect(bound[0].run()).rejects.toThrow(reason.replace(/ and 2 more$/, ''));
  });
});

describe('a kernel may decline', () => {
  const declining = Object.fromEntries(
    ['softmax', 'softmaxVjp', 'logSoftmax', 'logSumExp', 'crossEntropy', 'sigmoid', 'relu'].map((kernel) => [
      kernel,
      () => false as const,
    ]),
  );

  /** Runs one case of every operation, and returns the reasons of those that did not pass. */
  async function run(provider: BackendProvider): Promise<ReadonlySet<string | null>> {
    const cases = (await conformance(provider)).filter(
      ({ id, skip }) => skip === null && /^laws\/deterministic/.test(id),
    );
    expect(cases.length).toBeGreaterThan(10);
    const reports: CaseReport[] = [];
    for (const c of cases) reports.push(await reportCase(c));
    expect(reports.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    return new Set(reports.flatMap(({ outcome, reason }) => (outcome === 'skipped' ? [reason] : [])));
  }

  test('and core composes', async () => {
    const open = async () => delegate(await exact.open(), { kernels: declining }) as Backend;
    expect(await run({ ...minimal, name: 'declining', open })).toEqual(new Set());
  });

  test('or, without a basis, says that it is not supported, and the case is reported as one that does not apply', async () => {
    const open = async () => delegate((await minimal.open()) as Backend, { kernels: declining });
    const reasons = await run({ ...minimal, name: 'declining', open });
    expect(reasons).toContain('declines a call of logSoftmax, and has no basis');
    for (const reason of reasons) expect(reason).toMatch(/^declines a call of \w+, and has no basis$/);
  });

  test('but not by an error, where there is a basis', async () => {
    const logSoftmax = () => {
      throw new SoftgradError('ERR_UNSUPPORTED', 'no log-softmax today');
    };
    const open = async () => delegate(await exact.open(), { kernels: { logSoftmax } }) as Backend;
    const bound = await conformance({ ...minimal, name: 'refusing', open }, { composed: false });
    const [found] = bound.filter(({ id }) => id === 'log-softmax/values:shape=7x5;axis=1;input=ramp');
    await expect(found?.run()).rejects.toThrow('no log-softmax today');
  });

  test('but not with another error, nor where the case needs no kernel', async () => {
    const failing = async () => {
      const unsupported = () => {
        throw new SoftgradError('ERR_UNSUPPORTED', 'no softmax today');
      };
      const broken = () => {
        throw new Error('broken');
      };
      return delegate((await minimal.open()) as Backend, {
        softmax: unsupported,
        kernels: { ...declining, relu: broken },
      });
    };
    const bound = await conformance({ ...minimal, name: 'failing', open: failing });
    const find = (id: string) => bound.find((c) => c.id === id);
    await expect(find('storage/order')?.run()).rejects.toThrow('no softmax today');
    await expect(find('laws/deterministic:operation=relu')?.run()).rejects.toThrow('broken');
  });
});

describe('promises that never settle fail by name, even if something keeps the process alive', () => {
  const never = () => new Promise<never>(() => {});

  test('a read', async () => {
    const open = async () => delegate(await exact.open(), { read: never }) as Backend;
    const bound = await conformance({ ...minimal, name: 'hanging', open }, { timeoutMs: 1 });
    await expect(bound.find(({ id }) => id === 'storage/order')?.run()).rejects.toThrow(
      /^storage\/order did not end within 0.001 s: a promise of the backend \(open, read, sync, …\) never settles/,
    );
  });

  test('and after three of them the other cases are not run, but the backend is closed', async () => {
    const open = async () => delegate(await exact.open(), { read: never }) as Backend;
    const bound = await conformance({ ...minimal, name: 'hanging', open }, { timeoutMs: 5 });
    const outcomes: (string | null)[] = [];
    for (const { id, skip, run } of bound) {
      if (skip !== null || !/^storage\/|^lifecycle\/close/.test(id)) continue;
      outcomes.push(
        await run().then(
          () => null,
          ({ message }: Error) => message,
        ),
      );
    }
    expect(outcomes.slice(0, 3).every((message) => message?.includes('did not end'))).toBe(true);
    const notRun = /^not run, because 3 other cases did not end: storage\/\S+, storage\/\S+, storage\/\S+$/;
    expect(outcomes.slice(3, -1).length).toBeGreaterThan(10);
    for (const message of outcomes.slice(3, -1)) expect(message).toMatch(notRun);
    expect(outcomes.at(-1)).toContain('did not end');
  });

  test('opening', async () => {
    const opening = conformance({ ...minimal, name: 'hanging', open: never }, { timeoutMs: 1 });
    await expect(opening).rejects.toThrow('opening hanging did not end within 0.001 s');
  });

  test('unless there is no limit; a limit of 0 is an error', async () => {
    const [c] = (await conformance(exact, { timeoutMs: Number.POSITIVE_INFINITY })).filter(({ skip }) => skip === null);
    await expect(c.run()).resolves.toBeUndefined();
    await expect(conformance(exact, { timeoutMs: 0 })).rejects.toThrow('timeoutMs is 0; expected milliseconds above 0');
  });
});

describe('the suite keeps account of buffers', () => {
  test('buffers that a failed case leaves are freed, so that the next case does not fail because of them', async () => {
    const failing: BackendProvider = {
      ...minimal,
      open: async () =>
        delegate(await exact.open(), {
          softmax() {
            throw new Error('the kernel failed');
          },
        }) as Backend,
    };
    const bound = await conformance(failing);
    await expect(bound.find(({ id }) => id === 'storage/order')?.run()).rejects.toThrow('the kernel failed');
    await expect(bound.find(({ id }) => id === 'lifecycle/close')?.run()).resolves.toBeUndefined();
  });
});
