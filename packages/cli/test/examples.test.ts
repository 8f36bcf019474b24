import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { main, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);
chmodSync(folder.write('softgrad', `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`), 0o755);
folder.write('labels.json', '[2]');

interface Example {
  readonly command: string;
  readonly output: readonly string[];
}

/** Lines that start with `$ ` and what is printed below each. */
function examples(lines: readonly string[]): Example[] {
  const found: { command: string; output: string[] }[] = [];
  for (const line of lines) {
    if (line.startsWith('$ ')) found.push({ command: line.slice(2), output: [] });
    else found.at(-1)?.output.push(line);
  }
  return found;
}

function run({ command }: Example): string[] {
  const env = { ...process.env, PATH: `${folder.path}${delimiter}${process.env.PATH}` };
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', command], { cwd: folder.path, env, encoding: 'utf8' });
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
  (_, block) => {
    expect(block.length).toBeGreaterThan(0);
    for (const example of block) expect(rounded(run(example))).toEqual(rounded(example.output));
  },
);

describe('help has examples for every command, and where it shows a result that is what is printed', () => {
  const commands = [...softgrad(['--help']).stdout.matchAll(/^ {2}([a-z][a-z-]+) .*$/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== 'help');

  test('the commands are all there', () => {
    expect(commands).toEqual([
      'softmax',
      'log-softmax',
      'jacobian',
      'vjp',
      'jvp',
      'cross-entropy',
      'backends',
      'conformance',
      'accuracy',
      'bench',
      'demo',
      'doctor',
    ]);
  });

  test.each(commands)('%s', (name) => {
    const { status, stdout } = softgrad([name, '--help']);
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
      if (example.output.length > 0) expect(rounded(run(example))).toEqual(rounded(example.output));
    }
  });
});
