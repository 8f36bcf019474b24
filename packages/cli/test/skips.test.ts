import { expect, test } from 'vitest';
import { summariseSkips } from '../src/skips.js';

test('cases that lack the same feature are one line, with their number', () => {
  expect(summariseSkips([])).toEqual([]);
  expect(summariseSkips(['has no float16'])).toEqual(['1 does not apply: it has no float16']);
  expect(summariseSkips(['has no float16', 'has no float32', 'has no float16'])).toEqual([
    '2 do not apply: it has no float16',
    '1 does not apply: it has no float32',
  ]);
});

test('missing basis and kernels are determined from all reasons together', () => {
  const some = 'has neither kernels.sigmoid nor a basis';
  for (const [reasons, announced] of [
    [['does not announce kernels'], 'no fused kernels'],
    [['does not announce kernels', 'does not announce kernels'], 'no fused kernels'],
    [[some], 'no basis, and not every fused kernel'],
    [['has no basis'], 'no basis, and not every fused kernel'],
    [['does not announce basis', some], 'no basis, and not every fused kernel'],
    [['does not announce kernels', 'has no basis'], 'no basis and no fused kernels'],
    [['does not announce basis', 'does not announce kernels'], 'no basis and no fused kernels'],
  ] as const) {
    const does = reasons.length === 1 ? '1 does' : '2 do';
    expect(summariseSkips(reasons)).toEqual([`${does} not apply: it announces ${announced}`]);
  }
});

test('other features that are missing, or present although a case needs their absence, are named once each', () => {
  const lacks = ['view', 'inPlace', 'view', 'kernels.sigmoid'].map((what) => `does not announce ${what}`);
  const has = ['has readSync', 'has a basis', 'announces nonFinite: ieee', 'has float64', 'has kernels.relu'];
  expect(summariseSkips([...lacks, ...has, 'has kernels.sigmoid'])).toEqual([
    '4 do not apply: it does not announce view, inPlace, fused kernels',
    '6 do not apply: for backends without a feature: it has readSync, basis, nonFinite: ieee, float64, fused kernels',
  ]);
});

test('any other reason is unchanged and counted separately', () => {
  const reasons = [
    'lacks jacobian (a function)',
    'has no subnormals',
    'announces no time',
    'has neither this nor that',
  ];
  expect(summariseSkips([...reasons, 'has no subnormals'])).toEqual([
    '1 does not apply: it lacks jacobian (a function)',
    '2 do not apply: it has no subnormals',
    '1 does not apply: it announces no time',
    '1 does not apply: it has neither this nor that',
  ]);
  for (const reason of [
    'xhas neither kernels.a nor a basis',
    'has neither kernels.a nor a basis at all',
    'xhas no basis',
    'xdoes not announce basis',
    'does not xannounce basis',
    'has no basis at all',
    'has no float',
    'xhas no float16',
    'has no float16s',
  ]) {
    expect(summariseSkips([reason])).toEqual([`1 does not apply: it ${reason}`]);
  }
});
