import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { documents, root } from './snippets.js';

/** The targets of links and images in a document, `[text](target)` and `![text](target)`, except in code. */
function targets(text: string): readonly string[] {
  const prose = text.replaceAll(/```[\s\S]*?```/g, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
}

test('the target of every link and image in a README or a page exists', () => {
  const links = documents().flatMap((path) =>
    targets(readFileSync(path, 'utf8'))
      .filter((target) => !/^[a-z]+:|^#/.test(target))
      .map((target) => ({ from: relative(root, path), target, file: join(dirname(path), target.split('#')[0]) })),
  );
  expect(links.length).toBeGreaterThan(20);
  const dead = links.filter(({ file }) => !existsSync(file)).map(({ from, target }) => `${target} in ${from}`);
  expect(dead).toEqual([]);
});

test('a published README links only to files that its package contains', () => {
  const published = documents().filter((path) => path.endsWith('README.md') && isPublished(dirname(path)));
  expect(published.length).toBeGreaterThan(10);
  const outside = published.flatMap((path) => {
    const { files } = JSON.parse(readFileSync(join(dirname(path), 'package.json'), 'utf8'));
    return targets(readFileSync(path, 'utf8'))
      .filter((target) => !/^[a-z]+:|^#/.test(target) && !files.includes(target.split(/[/#]/)[0]))
      .map((target) => `${target} in ${relative(root, path)}`);
  });
  expect(outside).toEqual([]);
});

function isPublished(folder: string): boolean {
  const manifest = join(folder, 'package.json');
  return dirname(folder) === join(root, 'packages') && !JSON.parse(readFileSync(manifest, 'utf8')).private;
}

test('every file of the repository that a document names exists', () => {
  // FILE, NAME and PACKAGE are placeholders.
  const named = documents().flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/`((?:packages|docs|scripts|tools|examples)\/[\w./-]+)`/g)]
      .map(([, file = '']) => ({ from: relative(root, path), file }))
      .filter(({ file }) => !/NAME|FILE|PACKAGE/.test(file)),
  );
  expect(named.length).toBeGreaterThan(10);
  const dead = named.filter(({ file }) => !existsSync(join(root, file))).map(({ from, file }) => `${file} in ${from}`);
  expect(dead).toEqual([]);
});
