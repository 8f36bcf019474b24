import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as softgrad from 'softgrad';
import { describe, expect, test } from 'vitest';
import { root } from './snippets.js';

const folder = join(root, 'packages/core/src/ops');
const sources = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));

/** The code of every `@example`, without the asterisks. */
function examplesOf(text: string): readonly string[] {
  return [...text.matchAll(/ \* @example\n((?: +\* (?!@).*\n)+)/g)].map(([, lines]) => lines.replace(/^ +\* /gm, ''));
}

/** A line with its value: `await s.array(); // [0.5000, 0.8808]`, perhaps with a remark after a comma. */
const valued = /^(.+); \/\/ (\[.*\]|-?[\d.]+|'.*')(?:, .*)?$/gm;

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;

/** The values that an example states beside those that it computes. */
async function run(
  code: string,
): Promise<{ readonly stated: readonly unknown[]; readonly computed: readonly unknown[] }> {
  const stated: unknown[] = [];
  const computed: unknown[] = [];
  const names = { ...softgrad, cpu: softgrad.getBackend(), check: (value: unknown) => computed.push(rounded(value)) };
  const body = code.replace(valued, (_, expression: string, value: string) => {
    stated.push(JSON.parse(value.replaceAll("'", '"')));
    return `check(${expression});`;
  });
  await new AsyncFunction(...Object.keys(names), body)(...Object.values(names));
  return { stated, computed };
}

/** Numbers with the four decimals of the docstrings. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, each) => (typeof each === 'number' ? Number(each.toFixed(4)) : each)));
}

describe('the examples of the operations print what they state', () => {
  for (const { name, text } of sources) {
    test.each(examplesOf(text).map((code) => [code.split('\n', 1)[0], code]))(`${name}: %s`, async (_, code) => {
      const { stated, computed } = await run(code);
      expect(stated.length).toBeGreaterThan(0);
      expect(computed).toEqual(stated);
    });
  }
});

test('every derivative has an example', () => {
  const without = sources.flatMap(({ name, text }) =>
    [...text.matchAll(/\n {2}(jacobian|vjp|jvp|hvp|doubleBackward|gradient|loss|linearize)</g)]
      .filter(({ index }) => {
        const above = text.slice(0, index);
        return !above.endsWith('\n   */') || !above.slice(above.lastIndexOf('/**')).includes('@example');
      })
      .map(([, member]) => `${name}: ${member}`),
  );
  expect(without).toEqual([]);
});
