import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const run = (name: string, ...options: string[]) => {
  const main = fileURLToPath(new URL(`../dist/${name}/main.js`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...options], { encoding: 'utf8' });
  return { status, stdout, stderr };
};

test.each([
  ['tfjs', '--epochs'],
  ['attention', '--bogus'],
  ['digits', '--epoch'],
  ['vocabulary', '--epochs'],
])('%s does not take %s and says so in a sentence', (name, option) => {
  expect(run(name, option, '2')).toEqual({
    status: 2,
    stdout: '',
    stderr: `Unknown option '${option}'; --help lists what there is\n`,
  });
});

test.each(['attention', 'vocabulary'])('a backend that %s cannot have is a sentence, too', (name) => {
  const { status, stderr } = run(name, '--backend', 'nope');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^setBackend: no backend is named 'nope': known are .*\n$/);
});

test('an argument without an option is refused', () => {
  expect(run('attention', 'six')).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^Unexpected argument 'six'/),
  });
});

test('training says after the first epoch how long the others take', () => {
  const stderr = (...options: string[]) => run('digits', '--digits', '50', ...options).stderr;
  expect(stderr('--derivative', 'all', '--epochs', '2')).toMatch(
    /^about \d+ (?:s|min) for the other 7 epochs, with 4 networks of 2\n$/,
  );
  expect(stderr('--epochs', '2')).toMatch(/^about \d+ (?:s|min) for the other epoch\n$/);
  expect(stderr('--epochs', '1')).toBe('');
});

test.each(['0x10', '1e1', '2.5', '0', ' '])('a count of %j is refused', (count) => {
  const stderr = `--epochs ${count}: expected a whole number above 0\n`;
  expect(run('digits', '--epochs', count)).toEqual({ status: 2, stdout: '', stderr });
});
