import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Backend, isSoftgradError } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type WasmBuffer, type WasmOptions, wasm } from '../src/index.js';
import { compute, logits, sameBits } from './ulp.js';

afterEach(() => vi.unstubAllGlobals());

const workerFile = new URL('../dist/softgrad-worker.js', import.meta.url);
const rows = { outer: 700, classes: 600, inner: 1 };
const x = logits('float32', rows.outer * rows.classes, 5, 0, 1);
const softmaxOn = (backend: Backend<WasmBuffer>) =>
  compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));

const expected = softmaxOn(await wasm.open({ relaxedSimd: false }));

const compiled = (name: string) =>
  new WebAssembly.Module(readFileSync(new URL(`../dist/${name}.wasm`, import.meta.url)));

/** Code and message of the error that `open` throws. */
async function refusal(options: WasmOptions): Promise<unknown> {
  const error: unknown = await wasm.open(options).catch((reason: unknown) => reason);
  return isSoftgradError(error) ? [error.code, error.message] : error;
}

/** The device of a backend, and whether its results have the same bits as those of one thread that compiles the kernels itself. */
async function deviceAndBits(options: WasmOptions): Promise<unknown> {
  const backend = await wasm.open({ relaxedSimd: false, ...options });
  const same = sameBits(softmaxOn(backend), expected);
  await backend.close();
  return [backend.supports.device, same];
}

describe('threads from a worker that the caller provides', () => {
  const sources: Readonly<Record<string, NonNullable<WasmOptions['worker']>>> = {
    'a URL': workerFile,
    'the text of a URL': workerFile.href,
    'a path': fileURLToPath(workerFile),
    'a function': () => new Worker(workerFile),
    'a function that gives it later': async () => new Worker(workerFile),
  };
  test.each(Object.entries(sources))('%s', async (_, worker) => {
    expect(await deviceAndBits({ threads: 2, worker })).toEqual(['WebAssembly SIMD, 2 threads', true]);
  });
});

describe('values that only JavaScript without types can pass are refused', () => {
  const bytes = readFileSync(new URL('../dist/simd.wasm', import.meta.url));
  const way = {
    bytes: /: await WebAssembly\.compile\(bytes\)$/,
    url: /: await WebAssembly\.compileStreaming\(fetch\(url\)\)$/,
  };
  const ours = () => new Worker(workerFile);
  const worker = /expected a URL, a path, or a function that starts a Worker$/;
  test.each<[string, unknown, RegExp | string]>([
    ['null', null, 'wasm.open: options are null; expected an object with threads, required'],
    ['a number', 2, 'wasm.open: options are 2; expected an object with threads, required'],
    [
      'an unknown name',
      { thread: 2 },
      "wasm.open: unknown option 'thread' \\(did you mean 'threads'\\?\\); expected one of threads, required",
    ],
    ['a plural', { workers: 2 }, "wasm.open: unknown option 'workers' \\(did you mean 'worker'\\?\\); expected"],
    ['a name of no option', { simd: 2 }, "wasm.open: unknown option 'simd'; expected one of threads, required"],
    [
      'a number of threads as text',
      { threads: '2' },
      'wasm: threads is the text "2"; expected an integer from 1 to 64',
    ],
    ['a long text', { threads: '2'.repeat(99) }, `wasm: threads is the text "${'2'.repeat(20)}…"; expected`],
    ['threads null', { threads: null }, 'wasm: threads is null; expected an integer from 1 to 64'],
    ['a text as relaxedSimd', { relaxedSimd: 'yes' }, 'wasm: relaxedSimd is the text "yes"; expected true or false'],
    ['relaxedSimd null', { relaxedSimd: null }, 'wasm: relaxedSimd is null; expected true or false'],
    ['a number as relaxedSimd', { relaxedSimd: 0 }, 'wasm: relaxedSimd 0; expected true or false'],
    ['a text as required', { required: 'no' }, 'wasm: required is the text "no"; expected true or false'],
    ['a text as float64', { float64: 'no' }, 'wasm: float64 is the text "no"; expected true or false'],
    ['float64 null', { float64: null }, 'wasm: float64 is null; expected true or false'],
    ['module null', { module: null }, /^wasm: module is null; expected a WebAssembly.Module/],
    ['the bytes of a module', { module: bytes }, /is an object \(Buffer\); expected a WebAssembly\.Module/],
    ['the bytes of a module, and the way out', { module: bytes }, way.bytes],
    ['an ArrayBuffer', { module: new ArrayBuffer(8) }, way.bytes],
    ['the path of a module', { module: 'simd.wasm' }, way.url],
    ['the URL of a module', { module: workerFile }, way.url],
    ['a response', { module: new Response(bytes) }, way.url],
    [
      'a promise of a module',
      { module: WebAssembly.compile(bytes) },
      /module is a promise \(await it first\); expected/,
    ],
    ['a namespace', { module: { default: compiled('simd') } }, "pass its property 'default'"],
    ['worker null', { worker: null }, worker],
    ['worker false', { worker: false }, worker],
    ['an object as worker', { worker: {} }, worker],
    ['a function that returns nothing', { threads: 2, worker: () => {} }, 'returns Undefined; expected a Worker'],
    ['a function that returns a path', { threads: 2, worker: () => '/w.js' }, 'returns String; expected a Worker'],
  ])('%s', async (_, options, message) => {
    expect(await refusal(options as WasmOptions)).toEqual(['ERR_VALUE', expect.stringMatching(message)]);
  });

  test('a Worker that is already started, because each thread needs its own', async () => {
    const started = ours();
    try {
      expect(await refusal({ threads: 2, worker: started as unknown as URL })).toEqual([
        'ERR_VALUE',
        expect.stringMatching(worker),
      ]);
      // Also if a function returns it for every thread.
      expect(await refusal({ threads: 3, worker: () => started })).toEqual([
        'ERR_VALUE',
        expect.stringContaining('returns the same Worker twice'),
      ]);
    } finally {
      await started.terminate();
    }
  });
});

test('a worker that runs other code is not a thread, whatever it posts', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const ended = vi.fn();
  try {
    const code =
      "require('worker_threads').parentPort.on('message', (m) => { for (const k of ['hi', m]) require('worker_threads').parentPort.postMessage(k); })";
    const worker = new Worker(code, { eval: true }).on('exit', ended);
    const messages = new Promise<void>((resolve) => {
      let posted = 0;
      worker.on('message', () => ++posted === 2 && resolve());
    });
    const opened = wasm.open({ threads: 2, worker: () => worker });
    await messages;
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await opened).supports.device).toMatch(
      /1 thread \(the worker did not answer within 10000 ms; it must run /,
    );
    await vi.waitFor(() => expect(ended).toHaveBeenCalled());
  } finally {
    vi.useRealTimers();
  }
});

test('fewer threads than required are an error that says why', async () => {
  const missing = fileURLToPath(new URL('missing-worker.mjs', import.meta.url));
  expect(await refusal({ threads: 2, required: true, worker: missing })).toEqual([
    'ERR_BACKEND_UNAVAILABLE',
    expect.stringMatching(/^wasm: 2 threads are required, but only one is available: Cannot find module/),
  ]);
  vi.stubGlobal('SharedArrayBuffer', undefined);
  expect(await refusal({ threads: 2, required: true })).toEqual([
    'ERR_BACKEND_UNAVAILABLE',
    expect.stringMatching(/^wasm: 2 threads are required, but only one is available: no SharedArrayBuffer/),
  ]);
});

test('it is no error if the required threads, or one thread, are available', async () => {
  for (const threads of [1, 2]) {
    const backend = await wasm.open({ threads, required: true });
    expect(backend.supports.device).toMatch(new RegExp(`${threads} threads?$`));
    await backend.close();
  }
});

describe('kernels compiled in advance', () => {
  test.each([
    [{ threads: 1, module: compiled('simd') }, 'WebAssembly SIMD, 1 thread'],
    [{ threads: 1, module: compiled('simd-shared') }, 'WebAssembly SIMD, 1 thread'],
    [{ threads: 2, module: compiled('simd-shared') }, 'WebAssembly SIMD, 2 threads'],
    [
      { threads: 2, module: compiled('simd') },
      'WebAssembly SIMD, 1 thread (the module that was given imports a memory that is not shared; those named -shared.wasm import a shared one)',
    ],
    // What a module has counts, not the option.
    [{ threads: 1, float64: false, module: compiled('simd') }, 'WebAssembly SIMD, 1 thread'],
    [{ threads: 1, module: compiled('simd-float32') }, 'WebAssembly SIMD with float64: false, 1 thread'],
    [{ threads: 2, module: compiled('simd-float32-shared') }, 'WebAssembly SIMD with float64: false, 2 threads'],
  ])('%#: %o', async (options, device) => {
    expect(await deviceAndBits(options)).toEqual([device, true]);
  });

  test('if a module is given, nothing is compiled or inflated', async () => {
    const module = compiled('simd');
    const refuse = () => {
      throw new Error('Wasm code generation disallowed by embedder');
    };
    vi.stubGlobal('DecompressionStream', undefined);
    vi.spyOn(WebAssembly, 'compile').mockImplementation(refuse);
    vi.spyOn(WebAssembly, 'validate').mockImplementation(refuse);
    try {
      expect(await deviceAndBits({ module })).toEqual(['WebAssembly SIMD, 1 thread', true]);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test('in an engine without WebAssembly a module makes no difference', async () => {
    const module = compiled('simd');
    vi.stubGlobal('WebAssembly', undefined);
    expect(await refusal({ module })).toEqual([
      'ERR_BACKEND_UNAVAILABLE',
      expect.stringMatching(/^wasm: this engine has no WebAssembly;/),
    ]);
  });

  test('a module without the kernels is refused', async () => {
    const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    expect(await refusal({ module: empty })).toEqual([
      'ERR_VALUE',
      expect.stringMatching(/^wasm: the module does not contain the kernels; expected/),
    ]);
  });
});
