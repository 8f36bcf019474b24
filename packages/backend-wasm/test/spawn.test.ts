import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WorkerStart } from '../src/job.js';
import { spawner, threadsMissing } from '../src/spawn.js';

/** A worker of a browser that only records what it is told. */
class FakeWorker extends EventTarget {
  static readonly started: FakeWorker[] = [];
  static refused = 0;
  readonly log: unknown[] = [];
  readonly url: URL | string;
  readonly options: unknown;

  constructor(url: URL | string, options?: unknown) {
    super();
    this.url = url;
    this.options = options;
    if (FakeWorker.refused-- > 0) throw new Error('by policy');
    FakeWorker.started.push(this);
  }

  postMessage(message: unknown) {
    this.log.push(message);
  }

  terminate() {
    this.log.push('terminated');
  }

  answer() {
    this.dispatchEvent(new Event('message'));
  }

  fail(message: string) {
    this.dispatchEvent(Object.assign(new Event('error'), { message }));
  }
}

/** Lets everything that waits for settled promises run. */
const settled = () => vi.advanceTimersByTimeAsync(0);
const start = { thread: 1 } as unknown as WorkerStart;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  FakeWorker.started.length = 0;
  FakeWorker.refused = 0;
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
      return [/\/worker\.js$/.test(String(url)) ? 'file' : url, ...log];
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

  test('rejects with the first error if neither can be started', async () => {
    FakeWorker.refused = 1;
    const thread = await spawner(undefined)();
    thread.start(start);
    const outcome = thread.ready.catch((error: unknown) => error);
    await vi.waitFor(() => expect(started()).toHaveLength(1));
    FakeWorker.started[0]?.fail('and not from a blob');
    expect(await outcome).toEqual(new Error('by policy'));
  });

  test('rejects if neither answers', async () => {
    const thread = await spawner(undefined)();
    thread.start(start);
    const outcome = thread.ready.catch((error: unknown) => error);
    await settled();
    await vi.advanceTimersByTimeAsync(10_000);
    await vi.waitFor(() => expect(started()).toHaveLength(2));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await outcome).toEqual(new Error('the worker did not answer within 10000 ms'));
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
