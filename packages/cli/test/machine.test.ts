import { cpus, totalmem } from 'node:os';
import { expect, test } from 'vitest';
import { thisMachine } from '../src/machine.js';
import { softgrad } from './command.js';

test('memory that a process may not use is reported where it is less than the machine has, and only there', () => {
  const memoryWith = (limit: number | null) =>
    thisMachine({ ...process, constrainedMemory: limit === null ? undefined : () => limit } as NodeJS.Process).memory;
  expect(memoryWith(2 ** 30)).toMatch(/ free, of which this process may use 1\.0 GiB$/);
  for (const limit of [null, 0, totalmem(), 2 ** 63]) expect(memoryWith(limit), String(limit)).toMatch(/ free$/);
});

test('a system that lists no processors is described nevertheless, and blanks around a name are left out', () => {
  expect(thisMachine(process, []).processor).toBe('unknown, 0 logical');
  const core = { ...cpus()[0], model: ' Abacus 3 ' };
  expect(thisMachine(process, [core, core]).processor).toBe('Abacus 3, 2 logical');
  expect(thisMachine(process, [{ ...core, model: ' ' }]).processor).toBe('unknown, 1 logical');
});

test('options of node are part of the runtime', () => {
  expect(thisMachine({ ...process, execArgv: ['--a', '--b=1'] }).runtime).toMatch(/^Node \S+, V8 \S+ --a --b=1$/);
  const withPaths = [
    '--require',
    '/home/alice/a.cjs',
    '--env-file=/home/alice/.env',
    '--title=alice=1',
    '--title=1alice',
    '-r',
    'alice',
  ];
  const { runtime } = thisMachine({ ...process, execArgv: withPaths });
  expect(runtime).toMatch(/^Node \S+, V8 \S+ --require --env-file=… --title=… --title=… -r$/);
});

test('one class index is a target for one row, not for several', async () => {
  const one = await softgrad(['cross-entropy', '0,0', '--target', '1']);
  expect(one.stderr).toBe('');
  const several = await softgrad(['cross-entropy', '-', '--target', '1'], { input: '[[0, 0], [0, 0]]' });
  expect(several.stderr).toMatch(
    /^softgrad: --target 1: shape \(1,\) for logits of \(2, 2\); expected class indices of \(2,\)/,
  );
});
