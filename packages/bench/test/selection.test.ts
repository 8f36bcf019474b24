import { expect, test } from 'vitest';
import './register-backends.mjs';
import { measureAccuracy } from '../src/accuracy/measure.js';
import { backendSource } from '../src/backend-contender.js';
import { plainOps } from '../src/ops.js';
import { runBenchInProcesses } from '../src/processes.js';
import { runBench } from '../src/run.js';
import { selectContenders, selectWorkloads } from '../src/selection.js';
import { workloadName } from '../src/workloads.js';

const names = (selection: Parameters<typeof selectWorkloads>[0]) => selectWorkloads(selection).map(workloadName);

test('selects all combinations of ops, shapes and dtypes', () => {
  expect(names({ ops: ['vjp', 'jacobian'], shapes: ['2x3', '4×5'], dtypes: ['float32', 'float64'] })).toEqual([
    'vjp 2×3 float32',
    'vjp 2×3 float64',
    'vjp 4×5 float32',
    'vjp 4×5 float64',
    'jacobian 2×3 float32',
    'jacobian 2×3 float64',
    'jacobian 4×5 float32',
    'jacobian 4×5 float64',
  ]);
});

test('default shapes are the standard ones, for the Jacobian those that fit in memory; fewer with quick', () => {
  expect(names({ ops: ['softmax'] })).toHaveLength(8);
  expect(names({ ops: ['jacobian'] })).toEqual(
    ['65536×3', '4096×10', '1024×128', '64×1000'].map((shape) => `jacobian ${shape} float32`),
  );
  expect(names({ quick: true }).length).toBeLessThan(names({}).length / 2);
});

test('calls with options are selected by name only', () => {
  expect([...new Set(selectWorkloads({}).map(({ op }) => op))]).toEqual(plainOps);
  expect(names({ ops: ['softmax:causalMask', 'vjp'], shapes: ['6x3'] })).toEqual([
    'softmax:causalMask 6×3 float32',
    'vjp 6×3 float32',
  ]);
  expect(() => selectWorkloads({ ops: ['softmax:causal'] })).toThrow(
    /^unknown op 'softmax:causal'; expected softmax, .*, crossEntropy:classMask$/,
  );
});

test('contenders by name, with options and without fused kernels', () => {
  const of = (...args: Parameters<typeof selectContenders>) => selectContenders(...args).map(({ name }) => name);
  expect(of(['cpu', 'wasm:threads=2:relaxedSimd=false'], ['naive'])).toEqual([
    'cpu',
    'wasm:threads=2:relaxedSimd=false',
    'naive',
  ]);
  expect(of(['cpu'], [], true)).toEqual(['cpu', 'cpu (composed)']);
});

test('options reach the provider: its error about an invalid one is the reason', async () => {
  const [source] = selectContenders(['gpujs:mode=abacus']);
  expect(await source.open()).toMatch(/mode is the text "abacus"; expected auto/);
});

test('unknown names are refused with the list of known ones', () => {
  const refused = (select: () => unknown, message: string) =>
    expect(select).toThrow(expect.objectContaining({ code: 'ERR_VALUE', message: expect.stringContaining(message) }));
  refused(
    () => selectWorkloads({ ops: ['hardmax'] }),
    "unknown op 'hardmax'; expected softmax, jacobian, vjp, logSoftmax, crossEntropy",
  );
  refused(() => selectWorkloads({ dtypes: ['float8'] }), "unknown dtype 'float8'");
  for (const shape of ['3by4', '0x4', '4x0', '3x4x5', ' 3x4', '3x4 ', 'x4', '3x'])
    refused(() => selectWorkloads({ shapes: [shape] }), `shape '${shape}': expected rows and classes, like 4096x10`);
  refused(() => selectContenders(['abacus']), "unknown backend 'abacus'; expected cpu, wasm, gpujs");
  refused(() => selectContenders(['cpu'], ['nobody']), "unknown peer 'nobody'");
  refused(() => selectContenders(['wasm:2']), 'expected options like wasm:threads=2');
});

test('workloads larger than any engine supports are refused before anything is measured', () => {
  const over = () => selectWorkloads({ ops: ['jacobian'], shapes: ['1x10000000'] });
  expect(over).toThrow(
    expect.objectContaining({
      code: 'ERR_OUT_OF_MEMORY',
      message: 'jacobian of shape 1x10000000 has 100000000000000 results; expected at most 1073741824',
    }),
  );
  expect(selectWorkloads({ ops: ['vjp'], shapes: ['1x10000000'] })).toHaveLength(1);
});

test('an unknown option is refused, with the one that was meant', async () => {
  const unknown = (given: string, meant: string) => `unknown option '${given}' (did you mean '${meant}'?)`;
  const contenders = { workloads: [], contenders: [] };
  expect(() => selectWorkloads({ op: ['vjp'] } as never)).toThrow(`selectWorkloads: ${unknown('op', 'ops')}`);
  await expect(runBench({ ...contenders, round: 3 } as never)).rejects.toThrow(
    `runBench: ${unknown('round', 'rounds')}`,
  );
  await expect(runBenchInProcesses({ ...contenders, processes: 1, round: 3 } as never)).rejects.toThrow(
    `runBenchInProcesses: ${unknown('round', 'rounds')}`,
  );
  await expect(measureAccuracy({ contenders: [], dtype: ['float32'] } as never)).rejects.toThrow(
    `measureAccuracy: ${unknown('dtype', 'dtypes')}`,
  );
  expect(() => backendSource('cpu', { option: {} } as never)).toThrow(`backendSource: ${unknown('option', 'options')}`);
});
