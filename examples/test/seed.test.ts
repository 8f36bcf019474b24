import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const output = execFileSync(process.execPath, [fileURLToPath(new URL('../dist/seed/main.js', import.meta.url))], {
  encoding: 'utf8',
});

test('the question’s numbers come out: both sums are noise, the vjp is not', () => {
  expect(output).toMatch(/np\.roll way: *│ 4\.16334e-17/);
  expect(output).toMatch(/J\.sum\(axis=1\): *│ 4\.16334e-17/);
  expect(output).toMatch(/softmax\.vjp\(s, g\), g = \[1, 0, 0\]: *│ 0\.222883/);
  expect(output).toMatch(/sigmoid\(x\) *│ 0\.584059/);
});
