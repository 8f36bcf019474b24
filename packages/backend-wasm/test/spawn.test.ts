import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { controlAt, setStarted, type WorkerStart } from '../src/job.js';
import { spawner, threadsMissing } from '../src/spawn.js';

/** A worker of a browser that only records what it is told. */
class FakeWorker extends EventTarget {
  static readonly started: FakeWorker[] = [];
  static refused: Error[] = [];
  readonly log: unknown[] = [];
  readonly url: URL | string;
  readonly options: unknown;

  constructor(url: URL | string, options?: unknown) {
    super();
    this.url = url;
    this.options = options;
    const refusal = FakeWorker.refused.shift();
    if (refusal) throw refusal;
    FakeWorker.started.push(this);
  }

  postMessage(message: unknown) {
    this.log.push(message);
  }

  terminate() {
    this.log.push('terminated');
  }

  /** Posts a message, as any worker can. */
  post() {
    this.dispatchEvent(new Event('message'));
  }

  /** Answers the start message, as only the package's worker does. */
  answer() {
    setAnswered();
    this.post();
  }

  fail(message: string) {
    this.dispatchEvent(Object.assign(new Event('error'), { message }));
  }
}

/** Lets everything that waits for settled promises run. */
const settled = () => vi.advanceTimersByTimeAsync(0);
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const start = { thread: 1, control: 0, memory } as unknown as WorkerStart;
/** What the package's worker does before it posts its message. */
const setAnswered = () => setStarted(controlAt(memory, 0), 1);

beforeEach(() => {
  new Int32Array(memory.buffer).fill(0);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  FakeWorker.started.length = 0;
  FakeWorker.refused.length = 0;
  vi.stubGlobal('Worker', FakeWorker);
  // As in a browser, which has no module node:worker_threads.
  vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined as never);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test('threads need SharedArrayBuffer, and workers of the engine or of Node', () => {
  expect(threadsMissing()).toBeNull();
  vi.stubGlobal('Worker', undefined);
  expect(threadsMissing()).toBe('no Worker');
  vi.stubGlobal('SharedArrayBuffer', undefined);
  expect(threadsMissing()).toMatch(/^no SharedArrayBuffer: .*COOP: same-origin and COEP: require-corp/);
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.stubGlobal('Worker', undefined);
  expect(threadsMissing()).toBeNull();
});

describe("a browser's worker", () => {
  const open = () => {
    const worker = new FakeWorker('given');
    return { worker, opened: spawner(() => worker)() };
  };

  test('is ready when it answers, and lost when it fails after that', async () => {
    const { worker, opened } = open();
    const thread = await opened;
    let lost = 0;
    thread.onLost(() => lost++);
    thread.start(start);
    expect(worker.log).toEqual([start]);
    worker.answer();
    await thread.ready;
    expect(lost).toBe(0);
    worker.fail('out of memory');
    worker.fail('again');
    expect(lost).toBe(2);
    thread.terminate();
    expect(worker.log).toEqual([start, 'terminated']);
  });

  test.each([
    ['terminated', () => {}],
    ['answered', (worker: FakeWorker) => worker.answer()],
    ['failed', (worker: FakeWorker) => worker.fail('')],
  ])('leaves no timer behind when it has %s', async (_, end) => {
    const { worker, opened } = open();
    const thread = await opened;
    thread.start(start);
    expect(vi.getTimerCount()).toBe(1);
    end(worker);
    thread.terminate();
    expect(vi.getTimerCount()).toBe(0);
    await thread.ready.catch(() => {});
  });

  test.each([
    ['a syntax error', 'a syntax error'],
    ['', 'the worker did not load'],
  ])('that fails before with "%s" rejects', async (message, expected) => {
    const { worker, opened } = open();
    const thread = await opened;
    worker.fail(message);
    await expect(thread.ready).rejects.toThrow(expected);
  });

  test.each([
    ['https://example.org/worker.js', 'https://example.org/worker.js'],
    [{ href: 'https://example.org/worker.js' }, 'https://example.org/worker.js'],
    ['/assets/worker.js', '/assets/worker.js'],
  ])('from %o is a module', async (source, url) => {
    await spawner(source)();
    expect(FakeWorker.started.map((worker) => [worker.url, worker.options])).toEqual([[url, { type: 'module' }]]);
  });
});

describe("Node's worker", () => {
  function open() {
    const log: unknown[] = [];
    const worker = Object.assign(new EventEmitter(), {
      unref: () => log.push('unref'),
      postMessage: (message: unknown) => log.push(message),
      terminate: async () => log.push('terminated'),
    });
    return { log, worker, opened: spawner(() => worker)() };
  }

  test('is ready when it answers, keeps no process alive after that, and is lost when it ends', async () => {
    const { log, worker, opened } = open();
    const thread = await opened;
    let lost = 0;
    thread.onLost(() => lost++);
    thread.start(start);
    setAnswered();
    worker.emit('message', '');
    await thread.ready;
    expect([log, lost]).toEqual([[start, 'unref'], 0]);
    worker.emit('exit', 1);
    expect(lost).toBe(1);
    thread.terminate();
    expect(log.at(-1)).toBe('terminated');
  });

  test.each([
    ['error', new Error('no such file'), 'no such file'],
    ['exit', 3, 'the worker thread ended with code 3'],
  ])('that has an %s before rejects', async (event, value, message) => {
    const { worker, opened } = open();
    const thread = await opened;
    worker.emit(event, value);
    await expect(thread.ready).rejects.toThrow(message);
  });
});

describe.each(['a browser', 'Node'])('a worker of %s', (engine) => {
  function open() {
    const web = new FakeWorker('given');
    const node = Object.assign(new EventEmitter(), { unref() {}, postMessage() {}, terminate: async () => 0 });
    const post = engine === 'Node' ? () => node.emit('message', 'hi') : () => web.post();
    return { post, opened: spawner(() => (engine === 'Node' ? node : web))() };
  }

  test('that posts messages but does not answer rejects after ten seconds', async () => {
    const { post, opened } = open();
    const thread = await opened;
    post();
    thread.start(start);
    post();
    let outcome: unknown = 'waits';
    thread.ready.catch((error: unknown) => {
      outcome = error;
    });
    await vi.advanceTimersByTimeAsync(9999);
    expect(outcome).toBe('waits');
    await vi.advanceTimersByTimeAsync(1);
    expect(outcome).toEqual(
      new Error('the worker did not answer within 10000 ms; it must run @softgrad/backend-wasm/worker'),
    );
  });

  test('that has answered is ready even if its message waits behind the timer', async () => {
    const thread = await open().opened;
    thread.start(start);
    setAnswered();
    await vi.advanceTimersByTimeAsync(10_000);
    await thread.ready;
  });

  test('is refused if the function returns it again', async () => {
    const worker = new FakeWorker('given');
    const spawn = spawner(() => worker);
    await spawn();
    await expect(spawn()).rejects.toMatchObject({ code: 'ERR_VALUE', message: /the same Worker again/ });
  });
});

test.each([[new FakeWorker('late')], [undefined]])(
  'a function that gives nothing for ten seconds rejects, and a worker that comes later is terminated: %o',
  async (late) => {
    let give: (worker: FakeWorker) => void = () => {};
    const opened = spawner(
      () =>
        new Promise<FakeWorker>((resolve) => {
          give = resolve;
        }),
    )();
    const outcome = opened.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await outcome).toEqual(new Error('the function worker gave none in 10000 ms'));
    // JavaScript without types can give anything.
    give(late as FakeWorker);
    await settled();
    expect(late?.log).toEqual(late && ['terminated']);
  },
);

describe("the package's own worker", () => {
  const blobs: unknown[] = [];
  beforeEach(() => {
    blobs.length = 0;
    vi.spyOn(URL, 'createObjectURL').mockImplementation((blob) => {
      blobs.push(blob);
      return `blob:${blobs.length}`;
    });
  });

  /** The workers that have been started: from the package's file, or from its source text. */
  const started = () =>
    FakeWorker.started.map(({ url, options, log }) => {
      expect(options).toEqual({ type: 'module' });
      return [/\/softgrad-worker\.js$/.test(String(url)) ? 'file' : url, ...log];
    });

  test('is started from its file, and from nothing else if that answers', async () => {
    const thread = await spawner(undefined)();
    thread.start(start);
    await settled();
    expect(started()).toEqual([['file', start]]);
    FakeWorker.started[0]?.answer();
    await thread.ready;
    expect(vi.getTimerCount()).toBe(0);
    let lost = 0;
    thread.onLost(() => lost++);
    FakeWorker.started[0]?.fail('late');
    expect(lost).toBe(1);
    thread.terminate();
    expect(started()).toEqual([['file', start, 'terminated']]);
  });

  test.each([
    ['it fails', async () => FakeWorker.started[0]?.fail('404')],
    ['it does not answer for ten seconds', () => vi.advanceTimersByTimeAsync(1)],
  ])('is started from its source text if %s', async (_, fail) => {
    const thread = await spawner(undefined)();
    thread.start(start);
    await settled();
    await vi.advanceTimersByTimeAsync(9999);
    expect(started()).toHaveLength(1);
    await fail();
    await vi.waitFor(() => expect(started()).toHaveLength(2));
    expect(started()).toEqual([
      ['file', start, 'terminated'],
      ['blob:1', start],
    ]);
    expect(blobs).toEqual([expect.objectContaining({ type: 'text/javascript' })]);
    expect((blobs[0] as Blob).size).toBeGreaterThan(100);
    FakeWorker.started[1]?.answer();
    await thread.ready;
    thread.terminate();
    expect(started()[1]).toEqual(['blob:1', start, 'terminated']);
  });

  const advice =
    "allow blob: in the policy's worker-src, or serve @softgrad/backend-wasm/worker and pass worker: '/worker.js'";

  test.each([
    [new Error('by policy'), 'from its file: by policy'],
    // In a script that is no module, `import.meta.url` is empty.
    [new TypeError("Failed to construct 'URL': Invalid URL"), 'the bundle has no file of it'],
    [new TypeError("This document requires 'TrustedScriptURL' assignment."), 'from its file: This document requires'],
  ])('rejects with both reasons and the way out if neither can be started: %s', async (refusal, ofFile) => {
    FakeWorker.refused = [refusal];
    const thread = await spawner(undefined)();
    thread.start(start);
    const outcome = thread.ready.catch((error: Error) => error.message);
    await vi.waitFor(() => expect(started()).toHaveLength(1));
    FakeWorker.started[0]?.fail('');
    const message = await outcome;
    expect(message).toMatch(new RegExp(`^${ofFile}`));
    expect(message).toContain(`; from a blob: the worker did not load; ${advice}`);
  });

  test('rejects if neither answers', async () => {
    const thread = await spawner(undefined)();
    thread.start(start);
    const outcome = thread.ready.catch((error: Error) => error.message);
    await settled();
    await vi.advanceTimersByTimeAsync(10_000);
    await vi.waitFor(() => expect(started()).toHaveLength(2));
    await vi.advanceTimersByTimeAsync(10_000);
    const late = 'the worker did not answer within 10000 ms; it must run @softgrad/backend-wasm/worker';
    expect(await outcome).toBe(`from its file: ${late}; from a blob: ${late}; ${advice}`);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is not started again if it was terminated meanwhile', async () => {
    const thread = await spawner(undefined)();
    thread.start(start);
    await settled();
    thread.terminate();
    FakeWorker.started[0]?.fail('terminated');
    await expect(thread.ready).rejects.toThrow('terminated');
    await settled();
    expect(started()).toEqual([['file', start, 'terminated', 'terminated']]);
  });
});
