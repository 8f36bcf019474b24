import { afterEach, expect, test, vi } from 'vitest';
import { startProgress } from '../src/progress.js';

const wasTerminal = process.stderr.isTTY;

function terminal(is: boolean): () => string {
  process.stderr.isTTY = is;
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  return () => written.mock.calls.map(([text]) => String(text)).join('');
}

afterEach(() => {
  process.stderr.isTTY = wasTerminal;
  vi.restoreAllMocks();
});

test('on a terminal a line on standard error says what is going on and how far it is', async () => {
  const shown = terminal(true);
  const progress = startProgress('bench', 4);
  progress.update(1, 'softmax 64×10 float32: round 3 of 15');
  // The bar draws at most ten times a second.
  await expect.poll(shown).toContain('softmax 64×10 float32: round 3 of 15');
  expect(shown()).toMatch(/25%/);
  progress.stop();
});

test('lines for standard output go there, with the bar out of their way', () => {
  const shown = terminal(true);
  const output = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const progress = startProgress('bench', 4);
  progress.print('a table\n');
  progress.stop();
  expect(output).toHaveBeenCalledWith('a table\n');
  expect(shown()).not.toContain('a table');
});

test('nothing is drawn where standard error is no terminal', () => {
  const shown = terminal(false);
  const progress = startProgress('bench', 4);
  progress.update(4);
  progress.stop();
  expect(shown()).toBe('');
});
