import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../dist/vocabulary/main.js', import.meta.url));

function losses(...options: string[]): number[] {
  const output = execFileSync(process.execPath, [main, '--backend', 'cpu', ...options], { encoding: 'utf8' });
  return [...output.matchAll(/^step \d+ +loss ([\d.]+)/gm)].map(([, loss]) => Number(loss));
}

test('the loss over the vocabulary falls along its gradient', () => {
  const [first, second, third] = losses('--positions', '4', '--chunk', '2', '--steps', '3');
  expect(second).toBeLessThan(first);
  expect(third).toBeLessThan(second);
});

test('the size of a chunk does not change the loss, full or not', () => {
  const small = ['--positions', '10', '--classes', '1000', '--steps', '2'];
  expect(losses(...small, '--chunk', '3')).toEqual(losses(...small, '--chunk', '10'));
});
