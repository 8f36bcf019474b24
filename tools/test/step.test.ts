import { expect, test, vi } from 'vitest';

const scripts = new URL('../../scripts/', import.meta.url);
const { startReport, step } = await import(new URL('step.mjs', scripts).href);
const { builds, installed } = await import(new URL('workspace.mjs', scripts).href);

function stream(terminal: boolean, columns?: number) {
  const written: string[] = [];
  return { isTTY: terminal, columns, write: (text: string) => written.push(text), written };
}

/** A report with a clock that the test sets, and what is written when a timer of so many milliseconds fires. */
function reported(terminal: boolean, columns?: number) {
  vi.useFakeTimers();
  const clock = { at: 5000 };
  const out = stream(terminal, columns);
  const report = startReport('Building', out, () => clock.at);
  const pass = (milliseconds: number) => {
    clock.at += milliseconds;
    vi.advanceTimersByTime(milliseconds);
    return out.written.at(-1);
  };
  return { report, out, pass };
}

test('on a terminal a bar shows how much is done and for how long it runs, also while nothing is told', () => {
  const { report, out, pass } = reported(true);
  try {
    expect(out.written).toEqual(['\r\u001b[2KBuilding … 0 s']);
    expect(pass(1000)).toBe('\r\u001b[2KBuilding … 1 s');
    report.update({ done: 3, total: 12, label: '@softgrad/core' });
    expect(out.written.at(-1)).toBe('\r\u001b[2KBuilding =====--------------- 3 of 12, @softgrad/core, 1 s');
    expect(pass(2000)).toMatch(/ 3 of 12, @softgrad\/core, 3 s$/);
    report.stop(true);
    expect(out.written.at(-1)).toBe('\r\u001b[2KBuilding: done after 3 s\n');
    const { length } = out.written;
    pass(60_000);
    expect(out.written).toHaveLength(length);
  } finally {
    vi.useRealTimers();
  }
});

test('a bar is cut at the width of the terminal, because a line that wraps cannot be cleared', () => {
  const { report, out } = reported(true, 30);
  try {
    report.update({ done: 1, total: 1, label: 'a'.repeat(50) });
    expect(out.written.at(-1)?.replace('\r\u001b[2K', '')).toHaveLength(29);
    report.stop(true);
  } finally {
    vi.useRealTimers();
  }
});

test('elsewhere there is a plain line at the beginning, every ten seconds, and at the end', () => {
  const { report, out, pass } = reported(false);
  try {
    report.update({ done: 2, total: 15 });
    pass(9000);
    expect(out.written).toEqual(['Building …\n']);
    pass(1000);
    report.stop(false);
    expect(out.written).toEqual(['Building …\n', 'Building: 2 of 15, 10 s\n', 'Building: failed after 10 s\n']);
  } finally {
    vi.useRealTimers();
  }
});

test('what pnpm and turbo print tells how much is done', () => {
  expect(installed('Progress: resolved 650, reused 499, downloaded 1, added 496')).toMatchObject({
    done: 496,
    total: 650,
  });
  expect(installed('Packages: +650')).toBeUndefined();
  const read = builds(15);
  expect(read('@softgrad/core:build: cache bypass, force executing c8a5f52398e0cd2b')).toEqual({
    ...{ done: 0, total: 15, label: '@softgrad/core' },
  });
  expect(read('@softgrad/core:build: $ tsc -b')).toBeUndefined();
  expect(read('softgrad:build: cache hit, suppressing logs e337d263b5bc3000')).toMatchObject({ done: 1 });
  expect(builds()('softgrad:build: cache miss, executing e3')?.total).toBeGreaterThan(10);
});

test('the output of a command is shown only if it fails, and its exit status is returned', async () => {
  const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
  const written = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    const run = (code: string, readProgress?: (line: string) => undefined) =>
      step('A step', process.execPath, ['-e', code], { readProgress });
    const lines: string[] = [];
    const status = await run('console.log("one\\ntwo"); console.error("three")', (line) => void lines.push(line));
    expect([status, lines.sort()]).toEqual([0, ['one', 'three', 'two']]);
    expect(shown).not.toHaveBeenCalled();
    expect(await run('console.error("why"); process.exitCode = 3')).toBe(3);
    expect(shown.mock.calls).toEqual([['why']]);
    expect(await step('A step', 'no-such-command', [], {})).toBe(1);
    expect(String(shown.mock.calls.at(-1))).toMatch(/^no-such-command did not start: /);
    expect(written.mock.calls.at(-1)?.[0]).toMatch(/A step: failed after 0 s\n$/);
  } finally {
    shown.mockRestore();
    written.mockRestore();
  }
});
