import { afterAll, expect, test } from 'vitest';
import { pageOf, playgroundLink, servedHere } from '../src/playground-link.js';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** What the page reads from a link. */
function parametersOf(link: string | null): Readonly<Record<string, string>> {
  const [, query = ''] = (link ?? '').split('#doctor?');
  return Object.fromEntries(new URLSearchParams(query));
}

test('the numbers and options are in the fragment, except for the defaults of the page', () => {
  const logits = { data: Float64Array.of(1, 2.5, Number.NEGATIVE_INFINITY, 0), shape: [2, 2] };
  const plain = playgroundLink(servedHere, { logits, gradient: 'J.sum(axis=1)', axis: -1 });
  expect(plain?.startsWith('http://127.0.0.1:5210/#doctor?signal=')).toBe(true);
  expect(parametersOf(plain)).toEqual({ signal: '[[1,2.5],["-Infinity",0]]', gradient: 'J.sum(axis=1)' });
  const probabilities = { data: [0.5, 0.5], shape: [1, 2] };
  const gradient = { data: [[0, 0]].flat(), shape: [1, 1, 2] };
  const target = { data: [1], shape: [1] };
  const settings = { layer: 'softmax', labelSmoothing: 0.1, ignoreIndex: 3 };
  const mask = { data: [true, false], shape: [2] };
  const arrays = { upstream: probabilities, target, mask, weight: target };
  const known = { axis: 0, temperature: 0.5, reduction: 'mean', ...settings, ...arrays };
  expect(parametersOf(playgroundLink('x', { probabilities, gradient, ...known }))).toEqual({
    signal: '[[0.5,0.5]]',
    kind: 'probabilities',
    gradient: '[[[0,0]]]',
    upstream: '[[0.5,0.5]]',
    target: '[1]',
    axis: '0',
    temperature: '0.5',
    reduction: 'mean',
    layer: 'softmax',
    labelSmoothing: '0.1',
    ignoreIndex: '3',
    mask: '[1,0]',
    weight: '[1]',
  });
});

test('an expression without a signal has a link, in which nothing is said to be probabilities', () => {
  const alone = playgroundLink('x', { gradient: 's - y', axis: -1 });
  expect(parametersOf(alone)).toEqual({ gradient: 's - y' });
});

test('more numbers than an address can hold have no link', () => {
  const link = (length: number) =>
    playgroundLink('x', { gradient: { data: new Float64Array(length), shape: [length] }, axis: -1 });
  expect(link(100)).not.toBeNull();
  expect(link(4000)).toBeNull();
});

test('the doctor prints the link in addition to its diagnosis, which does not change', async () => {
  folder.write('x.json', '[[1, 2, 3]]');
  const args = ['doctor', '--logits', 'x.json', '--did', 'J.sum(axis=1)'];
  const without = await folder.softgrad(args);
  const here = await folder.softgrad([...args, '--link']);
  expect(here.stdout).toMatch(/\n\nIn the playground\n {2}http:\/\/127\.0\.0\.1:5210\/#doctor\?\S+\n$/);
  expect([here.stdout.startsWith(without.stdout.trimEnd()), here.stderr, without.stderr]).toEqual([true, '', '']);
  const page = 'https://example.org/playground/';
  const elsewhere = await folder.softgrad([...args, '--link', page]);
  expect(elsewhere.stdout).toContain(`\n  ${page}#doctor?signal=`);

  const fields = JSON.parse((await folder.softgrad([...args, '--json'])).stdout);
  const inJson = await folder.softgrad([...args, '--json', '--link', page]);
  const { link, ...others } = JSON.parse(inJson.stdout);
  expect(fields).toEqual(others);
  expect(fields).not.toHaveProperty('link');
  expect(elsewhere.stdout).toContain(`\n  ${link}\n`);
  expect(inJson.stderr).toBe('');
});

test('numbers that no link can hold are a notice, and in JSON a link of null', async () => {
  folder.write('long.json', JSON.stringify([Array.from({ length: 4000 }, (_, k) => k)]));
  const args = ['doctor', '--logits', 'long.json', '--did', 'J.sum(axis=1)', '--link'];
  const long = await folder.softgrad(args);
  expect(long.stderr).toBe('softgrad: no link: these are more numbers than a link can hold\n');
  expect(long.stdout).not.toContain('playground');
  expect(JSON.parse((await folder.softgrad([...args, '--json'])).stdout).link).toBeNull();
});

test('the address of the page is a URL without a fragment, which would end the address that the numbers are added to', async () => {
  for (const page of [
    'http://host',
    'https://host:81/softgrad/?theme=dark',
    'file:///x/index.html',
    'http://host/a b/',
  ])
    expect(pageOf(page)).toBe(new URL(page).href);
  const isNone = 'is not the URL of a page';
  for (const [page, found] of [
    ['http://host/#doctor?axis=0', 'has a fragment, #doctor?axis=0, which the numbers take'],
    ['http://host/#', 'has a fragment, #, which the numbers take'],
    ['host:5210', isNone],
    ['gradient.npy', isNone],
    ['/index.html', isNone],
    ['javascript:alert(1)', isNone],
    ['', isNone],
  ] as const) {
    expect(await softgrad(['doctor', '--did', 's - y', '--link', page]), page).toEqual({
      status: 2,
      stdout: '',
      stderr: `softgrad: --link ${page || "''"}: ${found}; expected the address of a playground without #, such as ${servedHere}\n`,
    });
  }
});
