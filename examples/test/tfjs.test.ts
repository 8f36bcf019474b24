import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../dist/tfjs/main.js', import.meta.url));

test.each(['cpu', 'wasm'])(
  'a tfjs model on engine %s learns with our vjp, whose gradient is that of tfjs',
  (engine) => {
    const output = execFileSync(process.execPath, [main, '--engine', engine, '--steps', '30'], { encoding: 'utf8' });
    expect(Number(/^accuracy ([\d.]+) %/m.exec(output)?.[1])).toBeGreaterThan(90);
    expect(Number(/tfjs's: (.*)$/m.exec(output)?.[1])).toBeLessThan(1e-6);
  },
);
