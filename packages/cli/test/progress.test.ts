import { npyHeader } from '@softgrad/formats';
import { afterAll, describe, expect, test } from 'vitest';
import { openWriter } from '../src/files/write.js';
import { formatSeconds, startLateProgress, startProgress } from '../src/progress.js';
import { recorder, softgrad, temporaryFolder, watchBars } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** The control sequence of a terminal, EL 2. */
const clearLine = '\u001b[2K';

/** The output of the bar on standard error so far, and that on standard output; the test sets the clock. */
function start(label: string, total: number, terminal = true, begin = startProgress, env = {}) {
  const stdout = recorder(terminal);
  const stderr = recorder(terminal);
  // The clock of a process does not begin at 0 when a command does.
  const clock = { at: 5000, timers: new Map<number, () => void>() };
  const after = (milliseconds: number, listener: () => void) => {
    clock.timers.set(milliseconds, listener);
    return () => clock.timers.delete(milliseconds);
  };
  const progress = begin(label, total, { stdout, stderr, env, now: () => clock.at, after });
  return { progress, clock, drawn: stderr.text, printed: stdout.text };
}

test('on a terminal, a line on standard error shows the step and its progress, and is cleared at the end', () => {
  const { progress, drawn, printed } = start('bench', 4);
  expect(drawn()).toMatch(/bench \S{30} 0% \S+ left/);
  progress.update(1, 'softmax 64×10 float32: round 3 of 15');
  progress.update(2);
  progress.stop();
  expect(drawn()).toMatch(/softmax 64×10 float32: round 3 of 15 \S{30} 50% \S+ left/);
  expect(drawn().endsWith(clearLine)).toBe(true);
  expect(printed()).toBe('');
});

test('it never shows more than 100 %', () => {
  const { progress, drawn } = start('softmax', 4);
  progress.update(5);
  progress.stop();
  expect(drawn()).toContain(' 100% ');
  expect(drawn()).not.toContain('125%');
});

test('lines for standard output are printed without disturbing the bar, which continues', () => {
  const { progress, drawn, printed } = start('bench', 4);
  progress.update(3, 'a shape');
  const before = drawn().length;
  progress.print('a table\n');
  expect(printed()).toBe('a table\n');
  // The bar is cleared and then drawn again.
  const [, redrawn] = drawn().slice(before).split(clearLine);
  expect(redrawn).toMatch(/a shape \S{30} 75% /);
  progress.stop();
  expect(drawn()).not.toContain('a table');
});

test('nothing is drawn on a terminal that cannot move its cursor', () => {
  for (const begin of [startProgress, startLateProgress]) {
    for (const [TERM, draws] of [
      ['dumb', false],
      ['xterm', true],
    ] as const) {
      const { progress, clock, drawn, printed } = start('softmax', 4, true, begin, { TERM });
      clock.at += 60_000;
      progress.update(2);
      progress.print('a table\n');
      progress.stop();
      expect(drawn() !== '', TERM).toBe(draws);
      expect(printed()).toBe('a table\n');
    }
  }
});

test('nothing is drawn if standard error is not a terminal, and lines are printed nevertheless', () => {
  const { progress, drawn, printed } = start('bench', 4, false);
  progress.update(4);
  progress.print('a table\n');
  progress.stop();
  expect(drawn()).toBe('');
  expect(printed()).toBe('a table\n');
});

test('the time left is estimated from the time taken so far', () => {
  const { progress, clock, drawn } = start('conformance', 100);
  expect(drawn()).toMatch(/ 0% \? left/);
  clock.at += 10_000;
  progress.update(10);
  progress.stop();
  expect(drawn()).toMatch(/ 10% 1m30s left/);
});

test('no time left is estimated from the first calls, which load and compile', () => {
  const { progress, clock, drawn } = start('conformance', 100);
  clock.at += 8000;
  progress.update(2);
  progress.stop();
  expect(drawn()).toMatch(/ 2% \? left/);
});

test('seconds are formatted as minutes and hours', () => {
  expect([0, 0.2, 59, 60, 61.5, 3599, 3600, 12_345].map(formatSeconds)).toEqual([
    '0s',
    '1s',
    '59s',
    '1m00s',
    '1m02s',
    '59m59s',
    '1h00m',
    '3h25m',
  ]);
});

test('a late bar is drawn if the run has not ended soon, and never unless standard error is a terminal', () => {
  for (const terminal of [true, false]) {
    const { progress, clock, drawn, printed } = start('softmax', 4, terminal, startLateProgress);
    clock.at += 699;
    progress.update(1);
    progress.print('a line\n');
    expect([drawn(), printed()]).toEqual(['', 'a line\n']);
    clock.at += 1;
    progress.update(2);
    progress.stop();
    if (terminal) expect(drawn()).toMatch(/softmax \S{30} 50% 1s left/);
    else expect(drawn()).toBe('');
  }
});

test('a late bar is drawn within a second also if the run still waits for its first step, and its timer ends with it', () => {
  for (const terminal of [true, false]) {
    using bars = watchBars();
    const { progress, clock, drawn } = start('backends', 4, terminal, startLateProgress);
    expect([...clock.timers.keys()]).toEqual(terminal ? [700] : []);
    clock.at += 1000;
    clock.timers.get(700)?.();
    expect(drawn()).toMatch(terminal ? /backends \S{30} 0% \? left/ : /^$/);
    progress.update(2, 'tfjs');
    progress.stop();
    if (terminal) expect(drawn()).toMatch(/tfjs \S{30} 50% 1s left/);
    expect(clock.timers.size).toBe(0);
    expect(bars.steps()).toEqual(
      terminal
        ? [
            ['backends', 0],
            ['tfjs', 2],
          ]
        : [],
    );
  }
});

test('a late bar is drawn at once for a long synchronous step, during which no timer fires', () => {
  const steps = [2 ** 25 - 1, 2 ** 25].map((bytes) =>
    start('writing', 1, true, (label, total, streams) => startLateProgress(label, total, streams, bytes)),
  );
  expect(steps.map(({ drawn }) => drawn() !== '')).toEqual([false, true]);
});

describe('a command that takes over a second has a bar on a terminal', () => {
  const x = folder.zeros('x.npy', 64, 4);
  const table = folder.write('x.csv', '1,2,3,4\n'.repeat(64));
  const rowMask = folder.zeros('mask.npy', 64, 4);
  const mask = folder.write('mask.csv', '1,0,1,1\n'.repeat(64));
  const json = folder.write('x.json', JSON.stringify(Array.from({ length: 64 }, () => [1, 2, 3, 4])));
  const out = folder.at('out.json');

  /** What it draws if each reading of the clock is this many milliseconds after the previous one. */
  async function drawn(args: readonly string[], step: number, terminal = true): Promise<string> {
    let at = 0;
    const now = () => {
      at += step;
      return at;
    };
    const { status, stderr } = await softgrad([...args, '--out', out, '--backend', 'cpu'], {
      terminal,
      now,
      limits: { chunk: 512 },
    });
    expect(status, stderr).toBe(0);
    return stderr;
  }

  test.each<[string, readonly string[], RegExp]>([
    ['by rows', ['softmax', x], /softmax \S{30} 100% 0s left/],
    ['by bytes', ['softmax', table], /softmax \S{30} 100% 0s left/],
    ['matrices', ['jacobian', x], /jacobian \S{30} 100% 0s left/],
    ['reading all rows', ['softmax', table, '--axis', '0'], /reading \S+x\.csv \S{30} 100% /],
    ['reading a mask', ['softmax', table, '--mask', mask], /reading \S+mask\.csv \S{30} 100% /],
    ['reading a text', ['softmax', json], /reading \S+x\.json \S{30} 50% /],
    ['computing a loss', ['cross-entropy', x, '--target', table], /cross-entropy \S{30} 90% /],
    ['reading logits and target', ['cross-entropy', x, '--target', table], /reading \S+x\.csv \S{30} 100% /],
  ])('%s', async (_, args, bar) => {
    expect(await drawn(args, 600)).toMatch(bar);
    expect(await drawn(args, 1)).toBe('');
    expect(await drawn(args, 600, false)).toBe('');
  });

  test.each<[string, readonly string[], RegExp]>([
    ['opening an engine', ['softmax', x, '--backend', 'cpu', '--out', out], /opening cpu \S{30} 0% /],
    ['reading for a diagnosis', ['doctor', '--logits', table, '--grad', table], /reading \S+x\.csv \S{30} 0% /],
    ['reading a signal', ['demo', table, '--backend', 'cpu'], /reading \S+x\.csv \S{30} 0% /],
    ['looking at engines', ['backends'], /inspecting cpu \S{30} 0% /],
    ['a case for a report', ['report', '--backend', 'cpu', '--id', 'lifecycle/close'], /close on cpu \S{30} 0% /],
  ])('%s, also while nothing has been done', async (_, args, bar) => {
    const after = (_: number, listener: () => void) => {
      listener();
      return () => {};
    };
    const { status, stderr } = await softgrad(args, { terminal: true, after });
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(bar);
    expect(stderr.endsWith(clearLine)).toBe(true);
    expect((await softgrad(args, { terminal: true })).stderr).toBe('');
  });

  test('whose total is the rows, or the bytes of a file whose rows are not known, or 1 for a single number', async () => {
    for (const [args, total, steps] of [
      // Half of a chunk of 16 rows when it is computed, all of it when it is written.
      [['softmax', x], 64, [8, 16, 24, 32, 40, 48, 56, 64]],
      [['softmax', table], 512, null],
      [['sigmoid', folder.write('number.npy', Buffer.concat([npyHeader('<f8', []), Buffer.alloc(8)]))], 1, [0.5, 1]],
    ] as const) {
      using bars = watchBars();
      await drawn(args, 1000);
      const label = args[0];
      expect(bars.totals().at(-1), args.join(' ')).toBe(total);
      const counted = bars.steps().flatMap(([step, done]) => (step === label ? [done] : []));
      if (steps) expect([...new Set(counted)].filter((done) => done > 0)).toEqual(steps);
      else expect(counted.at(-1)).toBe(total);
    }
  });

  test('whose total while reading is the bytes of the file', async () => {
    using bars = watchBars();
    await drawn(['softmax', table, '--axis', '0'], 1000);
    const read = bars.steps().flatMap(([step, done]) => (step.startsWith('reading ') ? [done] : []));
    expect(bars.totals()).toContain(512);
    expect(read.at(-1)).toBe(512);
    await drawn(['softmax', x, '--axis', '0', '--mask', rowMask], 1000);
    const files = bars
      .steps()
      .flatMap(([step]) => (step.startsWith('reading ') ? [step.slice('reading '.length)] : []));
    expect(new Set(files)).toEqual(new Set([table, x, rowMask]));
  });

  test('which counts parts of the rows while their text is written', async () => {
    const long = folder.zeros('long.npy', 4, 40_000);
    let at = 0;
    const now = () => {
      at += 1000;
      return at;
    };
    using bars = watchBars();
    const args = ['softmax', long, '--out', out, '--backend', 'cpu'];
    const { status } = await softgrad(args, { terminal: true, now, limits: { chunk: 800_000 } });
    expect(status).toBe(0);
    const counted = bars.steps().flatMap(([step, done]) => (step === 'softmax' ? [done] : []));
    expect(counted).toEqual([...counted].sort((a, b) => a - b));
    // Each chunk of 2 rows counts half when it is computed, and the rest part by part.
    for (const chunk of [0, 2])
      expect(counted.filter((done) => done > chunk + 1 && done < chunk + 2).length).toBeGreaterThan(2);
    expect(counted.at(-1)).toBe(4);
    // A loss and its gradient are written together.
    const both = ['cross-entropy', long, '--target', '0,1,2,3', '--out', out, '--backend', 'cpu'];
    await softgrad(both, { terminal: true, now });
    const shares = bars.steps().flatMap(([step, done]) => (step === 'writing' ? [done] : []));
    expect(shares.length).toBeGreaterThan(3);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.every((share) => share > 0 && share <= 1)).toBe(true);
  });

  test.each([
    [3, 20_000],
    [60_000, 1],
  ])('the progress of a long text is shown while it is written: %i × %i numbers', async (length, columns) => {
    for (const ending of ['json', 'csv', 'tsv']) {
      const result = folder.at(`long.${ending}`);
      const shares: number[] = [];
      const writer = await openWriter(result, 2, 'float64', recorder());
      const rows = { shape: [length, columns], data: new Float64Array(60_000).fill(0.125) };
      await writer.write(rows, (share) => shares.push(share));
      await writer.finish();
      expect(shares.length).toBeGreaterThan(2);
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
      expect(shares[0]).toBeCloseTo(shares[1] / 2, 1);
      expect(shares.at(-1)).toBeGreaterThan(0.7);
      expect(shares.at(-1)).toBeLessThanOrEqual(1);
    }
  });
});
