import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../dist/attention/main.js', import.meta.url));

test('attention looks back only, and its gradients agree with differences', () => {
  const output = execFileSync(process.execPath, [main, '--backend', 'cpu'], { encoding: 'utf8' });
  expect(output).toMatch(/^ {2}1\.0000( {2} {5}\.){5}$/m);
  expect(output).toMatch(/by gradcheck: .*, ok$/m);
  expect(output).toMatch(/All right\.\n$/);
});

test('each head is apart: the gradients of three heads are right too', () => {
  const sizes = ['--heads', '3', '--positions', '4', '--width', '2'];
  const output = execFileSync(process.execPath, [main, '--backend', 'wasm', ...sizes], { encoding: 'utf8' });
  expect(output).toMatch(/All right\.\n$/);
});
