import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { operationsOf } from '@softgrad/core';
import { parseStudies } from '@softgrad/tools';
import * as softgrad from 'softgrad';
import { expect, test } from 'vitest';
import { badges } from '../generate/badges.mjs';
import { withFormulas } from '../generate/formulas.mjs';
import { jacobianPicture } from '../generate/jacobian-picture.mjs';
import { operationNames, operationPages } from '../generate/operations.mjs';
import { root } from './snippets.js';

const read = (name: string) => readFileSync(join(root, 'docs', name), 'utf8');

test('the pages of the operations match npm run docs:tables', () => {
  const pages: ReadonlyMap<string, string> = operationPages(
    parseStudies(read('data/performance.json'), 'docs/data/performance.json'),
    JSON.parse(read('data/accuracy.json')),
  );
  expect(readdirSync(join(root, 'docs/operations')).sort()).toEqual([...pages.keys()].sort());
  for (const [file, text] of pages) expect(read(`operations/${file}`), file).toBe(text);
});

test('the picture of the Jacobian matches npm run docs:tables', async () => {
  expect(read('images/jacobian.svg')).toBe(await jacobianPicture());
});

test('the badges match the package.json files', () => {
  const made: ReadonlyMap<string, string> = badges();
  expect(readdirSync(join(root, 'docs/images/badges')).sort()).toEqual([...made.keys()].sort());
  for (const [file, text] of made) expect(read(`images/badges/${file}`), file).toBe(text);
});

test('every operation of core has a page', () => {
  const names = new Set(Object.keys(operationsOf(softgrad.getBackend())).map((operation) => operation.split('.')[0]));
  expect([...operationNames].sort()).toEqual([...names].sort());
});

test('every derivative has its formula on the page of its operation', () => {
  const operations: Readonly<Record<string, object>> = Object.fromEntries(Object.entries(softgrad));
  // The loss is the value of crossEntropy, and linearize has the derivatives of the others.
  const derivatives = operationNames.flatMap((operation: string) =>
    Object.keys(operations[operation])
      .filter((member) => member !== 'loss' && member !== 'linearize')
      .map((member) => ({ operation, member })),
  );
  for (const { operation, member } of derivatives) {
    expect(read(`operations/${operation}.md`)).toContain(`\`${operation}.${member}\`:\n\n$$\n`);
  }
});

test('the page of an operation lists the options that it takes, in the order of its error', () => {
  for (const name of operationNames) {
    const operation = Reflect.get(softgrad, name) as (...args: readonly unknown[]) => unknown;
    const listed = [...read(`operations/${name}.md`).matchAll(/^\| `(\w+)` \| .* \| .* \|$/gm)].map(
      ([, option]) => option,
    );
    expect(() => operation([[1, 2]], name === 'crossEntropy' ? [0] : { nothing: 1 }, { nothing: 1 })).toThrow(
      new RegExp(`expected (one of )?${listed.join(', ')}$`),
    );
  }
});

test('a formula becomes MathML that loads nothing, and other text is unchanged', () => {
  const html: string = withFormulas('before\n\n$$\n\\frac{a}{b}\n$$\n\nafter $5 and $$6');
  expect(html).toMatch(
    /^before\n\n<p><span class="katex"><math .*<mfrac>.*<\/math><\/span><\/p>\n\nafter \$5 and \$\$6$/,
  );
  expect(html).not.toMatch(/src=|href=|url\(/);
  expect(html.match(/\n/g)).toHaveLength(4);
  expect(() => withFormulas('$$\n\\nothing{\n$$')).toThrow(/KaTeX/);
});

test('every formula of the pages is well-formed', () => {
  for (const name of operationNames) {
    const html: string = withFormulas(read(`operations/${name}.md`));
    expect(html.match(/<math /g)?.length, name).toBeGreaterThan(1);
    expect(html).not.toContain('\n$$\n');
  }
});
