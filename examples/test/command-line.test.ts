import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SoftgradError } from 'softgrad';
import { expect, test, vi } from 'vitest';
import { command, count, oneOf } from '../src/command-line.js';

/** What an example ends with whose options are `values` and which uses them by `run`: in this process, because starting one takes much longer. */
async function end(args: readonly string[], run: (values: { readonly epochs?: string }) => unknown = () => {}) {
  const { argv } = process;
  const printed = { stdout: '', stderr: '' };
  const log = vi.spyOn(console, 'log').mockImplementation((line) => {
    printed.stdout += `${line}\n`;
  });
  const error = vi.spyOn(console, 'error').mockImplementation((line) => {
    printed.stderr += `${line}\n`;
  });
  const exit = vi.spyOn(process, 'exit').mockImplementation((status) => {
    throw new Ended(Number(status));
  });
  process.argv = [...argv.slice(0, 2), ...args];
  try {
    await command('the help', { epochs: { type: 'string' } }, async (values) => void (await run(values)));
    return { status: 0, ...printed };
  } catch (cause) {
    if (!(cause instanceof Ended)) throw cause;
    return { status: cause.status, ...printed };
  } finally {
    process.argv = argv;
    for (const spy of [log, error, exit]) spy.mockRestore();
  }
}

class Ended extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`ended with ${status}`);
    this.status = status;
  }
}

test.each([
  ['--epoch', /^Unknown option '--epoch'; --help lists what there is\n$/],
  ['six', /^Unexpected argument 'six'.*; --help lists what there is\n$/],
])('an example that does not take %s says so in a sentence', async (argument, sentence) => {
  const { status, stdout, stderr } = await end([argument, '2']);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(sentence);
});

test.each(['--help', '-h'])('%s prints the help, whatever else there is', async (option) => {
  const run = vi.fn();
  expect(await end(['six', option], run)).toEqual({ status: 0, stdout: 'the help\n', stderr: '' });
  expect(run).not.toHaveBeenCalled();
});

test.each(['0x10', '1e1', '2.5', '0', ' '])('a count of %j is refused', async (number) => {
  const stderr = `--epochs ${number}: expected a whole number above 0\n`;
  const run = ({ epochs = '' }) => count('epochs', epochs);
  expect(await end(['--epochs', number], run)).toEqual({ status: 2, stdout: '', stderr });
});

test('a count of 10 is that number', async () => {
  const run = vi.fn(({ epochs = '' }) => count('epochs', epochs));
  expect(await end(['--epochs', '10'], run)).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(run).toHaveReturnedWith(10);
});

test('a choice is one of a list, or refused', async () => {
  const run = ({ epochs = '' }) => console.log(oneOf('epochs', epochs, ['few', 'many']));
  expect(await end(['--epochs', 'many'], run)).toEqual({ status: 0, stdout: 'many\n', stderr: '' });
  const stderr = '--epochs none: expected few or many\n';
  expect(await end(['--epochs', 'none'], run)).toEqual({ status: 2, stdout: '', stderr });
});

test('an error of softgrad is a sentence, and any other has its stack', async () => {
  const failing = (error: Error) => () => Promise.reject(error);
  const refused = await end([], failing(new SoftgradError('ERR_VALUE', 'not that')));
  expect(refused).toEqual({ status: 1, stdout: '', stderr: 'not that\n' });
  await expect(end([], failing(new TypeError('a defect')))).rejects.toThrow(TypeError);
});

test('as a process, an example ends with these sentences and exit codes', () => {
  const main = fileURLToPath(new URL('../dist/attention/main.js', import.meta.url));
  const run = (...options: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...options], { encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  const unknown = "Unknown option '--bogus'; --help lists what there is\n";
  expect(run('--bogus', '2')).toEqual({ status: 2, stdout: '', stderr: unknown });
  const { status, stderr } = run('--backend', 'nope');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^setBackend: no backend is named 'nope': known are .*\n$/);
});
