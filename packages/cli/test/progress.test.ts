import { afterAll, expect, test } from 'vitest';
import { startProgress } from '../src/progress.js';
import { recorder, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** The control sequence of a terminal, EL 2. */
const clearLine = '\u001b[2K';

/** What the bar has drawn on standard error so far, and what went to standard output. */
function start(label: string, total: number, terminal = true) {
  const stdout = recorder(terminal);
  const stderr = recorder(terminal);
  return { progress: startProgress(label, total, { stdout, stderr }), drawn: stderr.text, printed: stdout.text };
}

test('on a terminal a line on standard error says what is going on and how far it is, and is cleared at the end', () => {
  const { progress, drawn, printed } = start('bench', 4);
  expect(drawn()).toMatch(/bench \S{30} 0% \S+ left/);
  progress.update(1, 'softmax 64×10 float32: round 3 of 15');
  progress.update(2);
  progress.stop();
  expect(drawn()).toMatch(/softmax 64×10 float32: round 3 of 15 \S{30} 50% \S+ left/);
  expect(drawn().endsWith(clearLine)).toBe(true);
  expect(printed()).toBe('');
});

test('it never shows more than all of it', () => {
  const { progress, drawn } = start('softmax', 4);
  progress.update(5);
  progress.stop();
  expect(drawn()).toContain(' 100% ');
  expect(drawn()).not.toContain('125%');
});

test('lines for standard output go there, with the bar out of their way, which goes on where it was', () => {
  const { progress, drawn, printed } = start('bench', 4);
  progress.update(3, 'a shape');
  const before = drawn().length;
  progress.print('a table\n');
  expect(printed()).toBe('a table\n');
  // The line is cleared, and then drawn again.
  const [, redrawn] = drawn().slice(before).split(clearLine);
  expect(redrawn).toMatch(/a shape \S{30} 75% /);
  progress.stop();
  expect(drawn()).not.toContain('a table');
});

test('nothing is drawn where standard error is no terminal, and lines are printed all the same', () => {
  const { progress, drawn, printed } = start('bench', 4, false);
  progress.update(4);
  progress.print('a table\n');
  progress.stop();
  expect(drawn()).toBe('');
  expect(printed()).toBe('a table\n');
});

test('a file of more than one chunk has a bar on a terminal, and a smaller one has none', async () => {
  const input = folder.zeros('x.npy', 64, 4);
  const args = ['softmax', input, '--out', folder.at('out.npy'), '--backend', 'cpu'];
  const size = 128 + 64 * 4 * 4;
  const show = async (terminal: boolean, chunk: number) =>
    (await softgrad(args, { terminal, limits: { chunk } })).stderr;
  expect(await show(true, size - 1)).toMatch(/softmax \S{30} 100% /);
  expect(await show(true, size)).toBe('');
  expect(await show(false, size - 1)).toBe('');
});
