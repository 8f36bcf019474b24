import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const packages = fileURLToPath(new URL('../../packages', import.meta.url));
const listOf = (name: string) => join(packages, name, 'test', 'equivalent-typescript.json');
const squeezed = (text: string) => text.replace(/\s+/g, ' ').trim();

interface Entry {
  readonly file: string;
  readonly line: string;
  readonly reason: string;
}

test.each(readdirSync(packages).filter((name) => existsSync(listOf(name))))(
  'each mutant of %s that is argued to change nothing is of a line that its file has',
  (name) => {
    const entries: readonly Entry[] = JSON.parse(readFileSync(listOf(name), 'utf8'));
    const stray = entries.filter(({ file, line, reason }) => {
      const path = join(packages, name, file);
      const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').map(squeezed) : [];
      return reason === '' || !lines.includes(squeezed(line));
    });
    expect(stray).toEqual([]);
  },
);
