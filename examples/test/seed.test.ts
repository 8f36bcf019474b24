import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const output = execFileSync(process.execPath, [fileURLToPath(new URL('../dist/seed/main.js', import.meta.url))], {
  encoding: 'utf8',
});

test('the question’s numbers come out on every backend: both sums are noise, the vjp is not', () => {
  const dtypes = [...output.matchAll(/, (float(?:64|32)) /g)].map(([, dtype]) => dtype);
  expect(dtypes.length).toBeGreaterThanOrEqual(3);
  const sums = [...output.matchAll(/^│ +│( largest .*)$/gm)].map(([, cells]) =>
    [...cells.matchAll(/largest (\S+)/g)].map(([, largest]) => Number(largest)),
  );
  // The np.roll way and J.sum(axis=1).
  expect(sums).toHaveLength(2);
  for (const noise of sums) {
    expect(noise).toHaveLength(dtypes.length);
    for (const [k, largest] of noise.entries()) {
      expect(largest).toBeLessThan(dtypes[k] === 'float64' ? 1e-16 : 1e-7);
    }
    // On some backend it is not even exactly 0: what somebody took for a derivative.
    expect(Math.max(...noise)).toBeGreaterThan(0);
  }
  expect(output).toMatch(/softmax\.vjp\(s, g\), g = \[1, 0, 0\]:(?: *│ 0\.222883){3}/);
  expect(output).toMatch(/sigmoid\(x\)(?: *│ 0\.584059){3}/);
});
