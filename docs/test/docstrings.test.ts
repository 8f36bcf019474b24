import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cpu } from '@softgrad/backend-cpu';
import { wasm } from '@softgrad/backend-wasm';
import * as bench from '@softgrad/bench';
import * as core from '@softgrad/core';
import * as conformance from '@softgrad/core/conformance';
import * as distributed from '@softgrad/distributed';
import * as doctor from '@softgrad/doctor';
import * as formats from '@softgrad/formats';
import * as softgrad from 'softgrad';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { accuracyReport, backends, dataFolder, report } from './example-data.js';
import { root } from './snippets.js';

interface Package {
  /** Where its sources are compiled to. */
  readonly built: string;
  readonly exports: object;
  /** What an example may name without an import, beside the exports. */
  readonly names?: object;
  /** The sources whose functions are exported too, beside the index. */
  readonly entries?: readonly string[];
  /** The functions that are exported from another folder. */
  readonly elsewhere?: readonly string[];
}

/** The sources whose examples are run, by folder. */
const packages: Readonly<Record<string, Package>> = {
  'core/src': { built: 'core/dist/src', exports: core, names: { ...softgrad, cpu, wasm } },
  'core/conformance': {
    built: 'core/dist/conformance',
    exports: conformance,
    names: { ...softgrad, cpu },
    elsewhere: ['referenceCrossEntropy'],
  },
  'doctor/src': { built: 'doctor/dist', exports: doctor, entries: ['code.ts'] },
  'formats/src': { built: 'formats/dist', exports: formats },
  'bench/src': {
    built: 'bench/dist',
    exports: bench,
    names: { report, accuracyReport, loadProvider: core.loadProvider },
    entries: ['backend-options.ts', 'charts.ts', 'html.ts', 'processes.ts'],
  },
  'distributed/src': {
    built: 'distributed/dist',
    exports: distributed,
    entries: ['redis/index.ts', 's3/index.ts'],
  },
};

interface Source {
  readonly name: string;
  readonly text: string;
}

function sourcesOf(folder: string): readonly Source[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return files.map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
}

let data: Awaited<ReturnType<typeof dataFolder>>;
beforeAll(async () => {
  data = await dataFolder();
});
afterAll(() => data.remove());

// Some choose a backend.
afterEach(() => softgrad.setBackend('cpu'));

/** A declaration that can be called: how it is declared, and its name. */
const declaration = /^export (?:async )?(function|class|const)\*? (\w+)/gm;

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
  const known = { ...names, $value: (value: unknown) => computed.push(rounded(value)) };
  // An example that is not in a module has no import.meta.
  const located = code
    .replaceAll("'/data", `'${data.folder}`)
    .replaceAll("import.meta.resolve('softgrad')", JSON.stringify(backends));
  const body = located.replace(valued, (_, expression: string, value: string) => {
    stated.push(new Function(`return ${value}`)());
    return `$value(${expression});`;
  });
  // In a block, which may declare the same names again.
  await new AsyncFunction(...Object.keys(known), `{\n${body}\n}`)(...Object.values(known));
  return { stated, computed };
}

/** Numbers with the four decimals of the docstrings, and typed arrays as arrays. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number') return Number(value.toFixed(4));
  if (ArrayBuffer.isView(value)) return Array.from(value as Float64Array, rounded);
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, rounded(each)]));
}

for (const [name, { built, exports, names, entries = [], elsewhere = [] }] of Object.entries(packages)) {
  const sources = sourcesOf(join(root, 'packages', name));

  describe(`the examples of ${name} give what they state`, () => {
    for (const source of sources) {
      const examples = examplesOf(source).map((code) => [code.split('\n', 1)[0], code]);
      test.each(examples)(`${source.name}: %s`, async (_, code) => {
        const own = await import(join(root, 'packages', built, source.name.replace(/ts$/, 'js')));
        const { stated, computed } = await run(code, { ...exports, ...names, ...own });
        expect(computed).toEqual(stated);
      });
    }
  });

  test(`every function of ${name} has an example`, () => {
    const declarations = ['index.ts', ...entries].flatMap((entry) => declarationsOf(entry, sources));
    const declared = declarations.filter(({ kind }) => kind !== 'const').map(({ exported }) => exported);
    const loaded = Object.entries(exports).flatMap(([exported, value]) =>
      typeof value === 'function' ? [exported] : [],
    );
    const explained = declarations.filter(({ docstring }) => docstring.includes('@example'));
    const functions = [...new Set([...declared, ...loaded])];
    expect(functions.filter((each) => !explained.some(({ exported }) => exported === each)).sort()).toEqual(elsewhere);
  });
}

interface Declaration {
  readonly exported: string;
  /** `function`, `class` or `const`. */
  readonly kind: string;
  /** That of the first overload; empty without one. */
  readonly docstring: string;
}

/** What a source exports, itself or from others. */
function declarationsOf(entry: string, sources: readonly Source[]): readonly Declaration[] {
  const textOf = (file: string) => sources.find(({ name }) => name === file)?.text ?? '';
  const named = [...textOf(entry).matchAll(/^export \{([^}]*)\} from '(.*)\.js';$/gm)].flatMap(([, list = '', file]) =>
    list.split(',').map((item) => ({ item: item.trim(), text: textOf(join(dirname(entry), `${file}.ts`)) })),
  );
  const own = [...textOf(entry).matchAll(declaration)].map(([, , item = '']) => ({ item, text: textOf(entry) }));
  return [...named, ...own].flatMap(({ item, text }) => {
    const [local, exported = local] = item.split(' as ');
    const found = [...text.matchAll(declaration)].find(([, , name]) => name === local);
    if (found === undefined) return [];
    const above = text.slice(0, found.index);
    const docstring = above.endsWith(' */\n') ? above.slice(above.lastIndexOf('/**')) : '';
    return [{ exported, kind: found[1] ?? '', docstring }];
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
