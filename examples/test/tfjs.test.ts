import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';

const main = fileURLToPath(new URL('../dist/tfjs/main.js', import.meta.url));

// Of the two engines, whose tensors backend-tfjs shares in the same way, `npm test` trains on the one that has to be loaded.
test.each(inject('everything') ? ['cpu', 'wasm'] : ['wasm'])(
  'a tfjs model on engine %s learns with our vjp, whose gradient is that of tfjs',
  (engine) => {
    const output = execFileSync(process.execPath, [main, '--engine', engine, '--steps', '30'], { encoding: 'utf8' });
    expect(Number(/^accuracy ([\d.]+) %/m.exec(output)?.[1])).toBeGreaterThan(90);
    expect(Number(/tfjs's: (.*)$/m.exec(output)?.[1])).toBeLessThan(1e-6);
  },
);
