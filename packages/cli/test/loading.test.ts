import { expect, test } from 'vitest';
import { commandsNamed } from '../src/commands/all.js';
import type { Session } from '../src/context.js';
import { softgrad } from './command.js';

/** Making a command reads nothing of it. */
const session = {} as Session;

test('a command line loads only the command that it names', async () => {
  const all = (await commandsNamed(undefined, session)).map((command) => command.name());
  expect(all.length).toBeGreaterThan(15);
  for (const name of all) {
    expect((await commandsNamed(name, session)).map((command) => command.name())).toEqual([name]);
  }
});

test('without the name of a command, and with an unknown one, all are known', async () => {
  const { stdout } = await softgrad(['--help']);
  const { stdout: ofHelp } = await softgrad(['help']);
  expect(ofHelp).toBe(stdout);
  for (const name of ['softmax', 'cross-entropy', 'doctor', 'report'])
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  expect((await softgrad(['--no-such', 'softmax'])).status).toBe(2);
  expect((await softgrad(['crossentropy'])).stderr).toMatch(/did you mean cross-entropy\?/);
});
