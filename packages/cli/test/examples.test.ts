import { readFileSync } from 'node:fs';
import { cases } from '@softgrad/core/conformance';
import { knownEndings } from '@softgrad/formats';
import { afterAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);
folder.write('labels.json', '[2]');

interface Example {
  readonly command: string;
  readonly output: readonly string[];
}

/** Lines that start with `$ ` and what is printed below each. */
function examples(lines: readonly string[]): Example[] {
  const found: { command: string; output: string[] }[] = [];
  for (const line of lines) {
    const before = found.at(-1);
    if (before?.command.endsWith(' \\')) before.command = before.command.replace(/ \\$/, ` ${line.trim()}`);
    else if (line.startsWith('$ ')) found.push({ command: line.slice(2), output: [] });
    else found.at(-1)?.output.push(line);
  }
  return found;
}

/** The words of a shell command without their quotes; only the grammar that the examples use. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, plain]) => single ?? double ?? plain);
}

/** Runs `softgrad …`, `echo TEXT | softgrad …`, `echo TEXT > FILE` or `printf TEXT > FILE`, in the folder. */
async function run({ command }: Example): Promise<string[]> {
  const words = wordsOf(command);
  let input = '';
  if (words[0] !== 'softgrad') {
    const [program, text, into, ...rest] = words;
    input = program === 'printf' ? text.replaceAll('\\n', '\n') : `${text}\n`;
    if (into === '>') folder.write(rest[0], input);
    if (into === '>') return [];
    words.splice(0, 3);
  }
  const [program, ...args] = words;
  expect(program, command).toBe('softgrad');
  const { stdout, stderr } = await folder.softgrad(args, { input });
  return [...stdout.split('\n'), ...stderr.split('\n')].filter((line) => line !== '');
}

/** Backends differ in the last digit of a float64. */
function rounded(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/-?\d+\.\d+/g, (number) => String(Number(Number(number).toPrecision(12)))));
}

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const blocks = [...readme.matchAll(/```console\n([\s\S]*?)```/g)].map(([, block]) => block.trimEnd().split('\n'));

test.each(blocks.map((block) => [block[0], examples(block)] as const))(
  'the README says what is printed: %s',
  async (_, block) => {
    expect(block.length).toBeGreaterThan(0);
    for (const example of block) expect(rounded(await run(example))).toEqual(rounded(example.output));
  },
);

const commands = [
  'softmax',
  'softmin',
  'log-softmax',
  'log-sum-exp',
  'sigmoid',
  'relu',
  'jacobian',
  'vjp',
  'jvp',
  'hvp',
  'cross-entropy',
  'run',
  'worker',
  'backends',
  'conformance',
  'accuracy',
  'bench',
  'demo',
  'doctor',
  'report',
];

describe('help has examples for every command, and the results that it shows are those that are printed', () => {
  test('all commands are listed', async () => {
    const { status, stdout, stderr } = await folder.softgrad(['--help']);
    expect([status, stderr]).toEqual([0, '']);
    const names = [...stdout.matchAll(/^ {2}([a-z][a-z-]+) .*$/gm)].map(([, name]) => name);
    expect(names).toEqual([...commands, 'help']);
  });

  test.each(commands)('%s', async (name) => {
    const { status, stdout } = await folder.softgrad([name, '--help']);
    expect(status).toBe(0);
    const [, section] = stdout.split('\nExamples:\n');
    const shown = examples(
      section
        .split('\n')
        .filter((line) => line.startsWith('  '))
        .map((line) => line.slice(2)),
    );
    expect(shown.length).toBeGreaterThan(1);
    for (const example of shown) {
      expect(example.command).toContain(`softgrad ${name}`);
      if (example.output.length > 0) expect(rounded(await run(example))).toEqual(rounded(example.output));
    }
  });
});

/** The commands that read arrays and write one. */
const reading = commands.slice(0, commands.indexOf('run'));

test.each(reading)('the first line of the help of %s has all that it requires', async (name) => {
  const [usage] = (await folder.softgrad([name, '--help'])).stdout.split('\n');
  folder.write('given.json', '[[0, 0]]');
  const [, ...words] = usage.replace('[options] ', '').replaceAll(/<\w+>/g, 'given.json').split(' ').slice(1);
  const { status, stderr } = await folder.softgrad(words);
  expect([status, stderr]).toEqual([0, '']);
});

test.each([...reading, 'demo'])('the help of %s has every kind of file that it reads', async (name) => {
  const { stdout } = await folder.softgrad([name, '--help']);
  const [, after] = stdout.split('\nFiles that are read:\n');
  const [listed] = after.split('\n\n');
  const kinds = listed.split('\n').flatMap((line) => line.slice(2, 28).trim().split(', '));
  expect(kinds).toEqual(expect.arrayContaining([...knownEndings.split(', '), 'FOLDER', '-', '0,2']));
});

test('the help of each command equals the reviewed snapshot', async () => {
  const texts: string[] = [];
  for (const words of [[], ...commands.map((name) => [name])]) {
    const { stdout } = await folder.softgrad([...words, '--help']);
    texts.push(stdout);
  }
  await expect(texts.join('\n')).toMatchFileSnapshot('fixtures/help.txt');
});

test.each([false, { columns: 80 }, { columns: 100 }, { columns: 140 }] as const)(
  'every line of the help of each command fits a terminal: %o',
  async (terminal) => {
    for (const words of [['help'], ...commands.map((name) => [name, '--help'])]) {
      const { stdout } = await folder.softgrad(words, { terminal });
      const columns = terminal ? terminal.columns : 80;
      expect(stdout.split('\n').filter((line) => line.length > columns)).toEqual([]);
    }
  },
);

test('every case of the conformance suite that a help text or a README names exists', async () => {
  const texts = await Promise.all(commands.map(async (name) => (await folder.softgrad([name, '--help'])).stdout));
  const named = [...texts, readme].join('\n').match(/[a-z][a-z -]*\/[a-z][a-z-]*:[a-z]+=[^\s'"`,]+/g) ?? [];
  const ids = new Set(cases.map(({ id }) => id));
  expect(named.length).toBeGreaterThan(1);
  expect(named.filter((id) => !ids.has(id))).toEqual([]);
});

test('help is wrapped at the width of a terminal, and its version is that of the package', async () => {
  const wrapped = (await folder.softgrad(['help', 'bench'], { terminal: { columns: 90 } })).stdout;
  const options = wrapped.slice(wrapped.indexOf('Options:'), wrapped.indexOf('Examples:'));
  for (const line of options.split('\n')) expect(line.length).toBeLessThanOrEqual(90);
  expect(Math.max(...options.split('\n').map((line) => line.length))).toBeGreaterThan(80);
  // Without arguments, help is an error.
  const longestOf = async (columns: number) => {
    const { status, stdout, stderr } = await folder.softgrad([], { terminal: { columns } });
    expect([status, stdout]).toEqual([2, '']);
    const lines = stderr.slice(0, stderr.indexOf('\nExamples:')).split('\n');
    return Math.max(...lines.map((line) => line.length));
  };
  expect(await longestOf(90)).toBeLessThanOrEqual(90);
  expect(await longestOf(200)).toBeGreaterThan(90);
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  expect((await folder.softgrad(['--version'])).stdout).toBe(`${version}\n`);
});
