import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { nextVersion, unreleasedVersion, withRelease } from '../../scripts/changelog.mjs';
import { apiReport } from '../generate/api.mjs';
import { apiReports } from '../generate/api-reports.mjs';
import { root } from './snippets.js';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-api-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the reports in api/ match what the packages export: npm run api', () => {
  const reports = apiReports();
  expect(readdirSync(join(root, 'api')).sort()).toEqual([...reports.keys()].sort());
  for (const [file, text] of reports) expect(readFileSync(join(root, 'api', file), 'utf8'), file).toBe(text);
});

test('a report has every kind of declaration, without comments, sorted by name', () => {
  const types = join(folder, 'index.d.ts');
  writeFileSync(join(folder, 'other.d.ts'), 'export declare const one = 1;\nexport type Two = 2;\n');
  writeFileSync(
    types,
    `/** A comment. */
export declare function f(x: number): string;
export declare function f(x: string): string;
export interface I { readonly a: 1 }
export { one as uno, type Two } from './other.js';
export * as other from './other.js';
declare const hidden: 1;
`,
  );
  const report = apiReport('mine', [{ name: 'mine/sub', types }]);
  expect(report.split('\n').slice(4)).toEqual([
    '## `mine/sub`',
    '',
    '```ts',
    'export interface I {',
    '    readonly a: 1;',
    '}',
    'export type Two = 2;',
    'export declare function f(x: number): string;',
    'export declare function f(x: string): string;',
    'namespace other { Two, one }',
    '// exported as uno',
    'export declare const one = 1;',
    '```',
    '',
  ]);
});

test('the change log has a release above earlier ones, or as the date and the last items of the unreleased section', () => {
  const changes = [{ summary: 'First.\nMore of it.\n' }, { summary: 'Second.' }];
  const items = '- First.\n  More of it.\n- Second.\n';
  const before = '# Changelog\n\nOne version.\n\n';
  expect(withRelease(`${before}## 1.0.0 (2020-01-01)\n\n- Old.\n`, '1.1.0', '2021-02-03', changes)).toBe(
    `${before}## 1.1.0 (2021-02-03)\n\n${items}\n## 1.0.0 (2020-01-01)\n\n- Old.\n`,
  );
  const unreleased = `${before}## 1.0.0 (unreleased)\n\nThe first.\n\n- There.\n`;
  expect(unreleasedVersion(unreleased)).toBe('1.0.0');
  const released = `${before}## 1.0.0 (2021-02-03)\n\nThe first.\n\n- There.\n`;
  expect(unreleasedVersion(released)).toBeUndefined();
  expect(withRelease(unreleased, '1.0.0', '2021-02-03', [])).toBe(released);
  expect(withRelease(unreleased, '1.0.0', '2021-02-03', changes)).toBe(`${released}${items}`);
  // What is added begins on a line of its own, whatever the section ends with.
  for (const log of [unreleased.trimEnd(), `${unreleased}\n`]) {
    expect(withRelease(log, '1.0.0', '2021-02-03', changes)).toBe(`${released}${items}`);
  }
  const empty = `${before}## 1.0.0 (unreleased)\n`;
  expect(withRelease(empty, '1.0.0', '2021-02-03', changes)).toBe(`${before}## 1.0.0 (2021-02-03)\n\n${items}`);
  const earlier = '\n## 0.9.0 (2020-01-01)\n\n- Old.\n';
  expect(withRelease(`${unreleased}${earlier}`, '1.0.0', '2021-02-03', changes)).toBe(`${released}${items}${earlier}`);
  expect(withRelease(before, '1.0.0', '2021-02-03', changes)).toBe(`${before}## 1.0.0 (2021-02-03)\n\n${items}`);
});

test('the lines of the change log may end with CRLF, as git checks them out on Windows, and those of changesets too', () => {
  const inWindows = (text: string) => text.replaceAll('\n', '\r\n');
  const before = '# Changelog\n\n';
  const changes = [{ summary: 'First.\n\nMore of it.\n' }];
  const earlier = '\n## 0.9.0 (2020-01-01)\n\n- Old.\n';
  const logs = [`${before}## 1.0.0 (unreleased)\n\nThe first.\n${earlier}`, `${before.trimEnd()}\n${earlier}`, before];
  for (const log of logs) {
    const expected = withRelease(log, '1.0.0', '2021-02-03', changes);
    expect(expected).not.toMatch(/\r|unreleased/);
    expect(withRelease(inWindows(log), '1.0.0', '2021-02-03', changes)).toBe(inWindows(expected));
    const [{ summary }] = changes;
    expect(withRelease(log, '1.0.0', '2021-02-03', [{ summary: inWindows(summary) }])).toBe(expected);
  }
  expect(logs.map((log) => unreleasedVersion(inWindows(log)))).toEqual(['1.0.0', undefined, undefined]);
  // Without an end of the last line.
  expect(unreleasedVersion(`${before}## 1.0.0 (unreleased)`)).toBe('1.0.0');
});

test('the next version follows from the largest change', () => {
  expect(nextVersion('0.1.9', ['patch', 'none'])).toBe('0.1.10');
  expect(nextVersion('0.1.9', ['patch', 'minor', 'patch'])).toBe('0.2.0');
  expect(nextVersion('1.2.3', ['minor', 'major'])).toBe('2.0.0');
});
