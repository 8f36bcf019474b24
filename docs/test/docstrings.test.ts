import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpu } from '@softgrad/backend-cpu';
import { wasm } from '@softgrad/backend-wasm';
import * as softgrad from 'softgrad';
import { afterEach, describe, expect, test } from 'vitest';
import { root } from './snippets.js';

/** The sources whose examples are run, by folder: where they are compiled to, and what an example may name without an import. */
const folders = {
  'core/src': { built: 'core/dist/src', names: { ...softgrad, cpu, wasm } },
  'core/conformance': {
    built: 'core/dist/conformance',
    names: { ...softgrad, ...(await import('@softgrad/core/conformance')), cpu },
  },
  'doctor/src': { built: 'doctor/dist', names: await import('@softgrad/doctor') },
};

interface Source {
  readonly name: string;
  readonly text: string;
}

function sourcesOf(folder: string): readonly Source[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return files.map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
}

// Some choose a backend.
afterEach(() => softgrad.setBackend('cpu'));

/** A line with its value: `await s.array(); // [0.5000, 0.8808]`, perhaps with a remark after a comma. One that is shortened by … is not compared. */
const valued = /^(.+); \/\/ (?!.*…)(\[.*\]|\{.*\}|-?[\d.]+|'.*'|true|false|null)(?:, .*)?$/gm;

/** The code of every `@example` that states a value, without the asterisks. */
function examplesOf({ text }: Source): readonly string[] {
  const examples = [...text.matchAll(/ \* @example\n((?: +\* (?!@).*\n)+)/g)];
  return examples.map(([, lines]) => lines.replace(/^ +\* /gm, '')).filter((code) => code.search(valued) >= 0);
}

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;

interface Values {
  readonly stated: readonly unknown[];
  readonly computed: readonly unknown[];
}

/** Runs an example. */
async function run(code: string, names: object): Promise<Values> {
  const stated: unknown[] = [];
  const computed: unknown[] = [];
  const known = { ...names, check: (value: unknown) => computed.push(rounded(value)) };
  const body = code.replace(valued, (_, expression: string, value: string) => {
    stated.push(new Function(`return ${value}`)());
    return `check(${expression});`;
  });
  await new AsyncFunction(...Object.keys(known), body)(...Object.values(known));
  return { stated, computed };
}

/** Numbers with the four decimals of the docstrings, and typed arrays as arrays. */
function rounded(value: unknown): unknown {
  const plain = (each: unknown) => (ArrayBuffer.isView(each) ? Array.from(each as Float64Array) : each);
  const text = JSON.stringify(value, (_, each) => (typeof each === 'number' ? Number(each.toFixed(4)) : plain(each)));
  return JSON.parse(text);
}

for (const [name, { built, names }] of Object.entries(folders)) {
  describe(`the examples of ${name} give what they state`, () => {
    for (const source of sourcesOf(join(root, 'packages', name))) {
      const examples = examplesOf(source).map((code) => [code.split('\n', 1)[0], code]);
      test.each(examples)(`${source.name}: %s`, async (_, code) => {
        const own = await import(join(root, 'packages', built, source.name.replace(/ts$/, 'js')));
        const { stated, computed } = await run(code, { ...names, ...own });
        expect(computed).toEqual(stated);
      });
    }
  });
}

test('every derivative has an example', () => {
  const without = sourcesOf(join(root, 'packages/core/src/ops')).flatMap(({ name, text }) =>
    [...text.matchAll(/\n {2}(jacobian|vjp|jvp|hvp|doubleBackward|gradient|loss|linearize)</g)]
      .filter(({ index }) => {
        const above = text.slice(0, index);
        return !above.endsWith('\n   */') || !above.slice(above.lastIndexOf('/**')).includes('@example');
      })
      .map(([, member]) => `${name}: ${member}`),
  );
  expect(without).toEqual([]);
});
