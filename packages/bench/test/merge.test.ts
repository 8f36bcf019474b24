import { expect, test } from 'vitest';
import type { RawResult, RawWorkload } from '../src/report.js';
import { mergeProcesses, summarize } from '../src/summary.js';

const result = (contender: string, ms: number, more: Partial<RawResult> = {}): RawResult => ({
  contender,
  kind: 'backend',
  missing: null,
  correctness: null,
  firstCallMs: ms,
  samples: { reused: [[ms]], endToEnd: [[10 * ms]] },
  emptyCall: [[ms / 10]],
  ...more,
});

const part = (ms: number, results: readonly RawResult[], more: Partial<RawWorkload> = {}): RawWorkload => ({
  workload: { op: 'softmax', shape: [2, 3], dtype: 'float32' },
  results,
  roofs: [
    { name: 'exp', from: 'a', samples: [[ms + 0.25]] },
    { name: 'exp', from: 'b', samples: [[ms + 0.5]] },
    { name: 'memcpy', from: 'a', samples: [[ms + 0.75]] },
  ],
  baseline: 'a',
  control: [[ms + 0.125]],
  ...more,
});

test('rounds of processes are joined by contender, mode and roof, in the order of the processes', () => {
  const first = part(1, [result('a', 1), result('b', 2)]);
  const others = [part(3, [result('b', 4), result('a', 3)]), part(5, [result('a', 5), result('b', 6)])];
  const reordered = others.map((one) => ({ ...one, roofs: [...one.roofs].reverse() }));
  expect(mergeProcesses([first, ...reordered])).toEqual({
    ...first,
    control: [[1.125], [3.125], [5.125]],
    roofs: [
      { name: 'exp', from: 'a', samples: [[1.25], [3.25], [5.25]] },
      { name: 'exp', from: 'b', samples: [[1.5], [3.5], [5.5]] },
      { name: 'memcpy', from: 'a', samples: [[1.75], [3.75], [5.75]] },
    ],
    results: [
      result('a', 1, {
        samples: { reused: [[1], [3], [5]], endToEnd: [[10], [30], [50]] },
        emptyCall: [[0.1], [0.3], [0.5]],
      }),
      result('b', 2, {
        samples: { reused: [[2], [4], [6]], endToEnd: [[20], [40], [60]] },
        emptyCall: [[0.2], [0.4], [0.6]],
      }),
    ],
  });
  expect(mergeProcesses([first])).toEqual(first);
});

test('what a process lacks is not joined, and a contender that failed in one has failed', () => {
  const failed = result('b', 4, { missing: 'it was lost', samples: {}, emptyCall: null });
  const first = part(1, [result('a', 1), result('b', 2), result('c', 3, { emptyCall: null })], { control: null });
  const second = part(2, [result('a', 3, { samples: { reused: [[7]] }, emptyCall: null }), failed], { roofs: [] });
  const merged = mergeProcesses([first, second]);
  expect(merged.control).toBeNull();
  expect(merged.roofs).toEqual(first.roofs);
  expect(merged.results).toEqual([
    result('a', 1, { samples: { reused: [[1], [7]], endToEnd: [[10]] }, emptyCall: [[0.1]] }),
    failed,
    first.results[2],
  ]);
  expect(mergeProcesses([second, first]).results[1]).toBe(failed);
  expect(mergeProcesses([part(1, [], { control: [[1]] }), part(2, [], { control: null })]).control).toEqual([[1]]);
  expect(() => mergeProcesses([])).toThrow('no process measured the workload');
});

test('ratios and noise are those over the baseline in the same mode; the baseline has none', () => {
  const summary = summarize(part(2, [result('a', 2), result('b', 3, { samples: { reused: [[3]], device: [[1]] } })]));
  const [a, b] = summary.results;
  expect(a?.ratios).toEqual({});
  expect(b?.ratios).toEqual({ reused: { ratio: 1.5, interval: [1.5, 1.5], significant: true } });
  expect(summary.noise).toEqual({ ratio: 1.0625, interval: [1.0625, 1.0625] });
  // An exp takes longer than an empty call.
  expect(b?.bound).toEqual({ name: 'memory', ms: 2.75, from: 'memcpy', share: 2.75 / 3 });
  const called = summarize(part(2, [result('a', 2), result('b', 3, { emptyCall: [[2.9]] })]));
  expect(called.results[1]?.bound).toEqual({ name: 'call', ms: 2.9, from: 'b', share: 2.9 / 3 });
  const bare = summarize(part(2, [result('b', 3, { emptyCall: null }), result('c', 3)], { roofs: [], baseline: null }));
  expect(bare.results.map(({ bound, ratios }) => [bound?.name, ratios])).toEqual([
    [undefined, {}],
    ['call', {}],
  ]);
  expect(bare.noise).toBeNull();
  const late = summarize(
    part(2, [result('a', 2, { samples: { endToEnd: [[4]] } }), result('b', 3)], { control: [[5]] }),
  );
  expect(late.noise?.ratio).toBe(1.25);
  expect(late.results[0]?.bound).toBeNull();
});
