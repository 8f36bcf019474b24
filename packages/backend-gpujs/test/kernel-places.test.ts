import { expect, test } from 'vitest';
import { openHost } from '../src/engines/host.js';
import { loadGpu } from '../src/gpu.js';
import {
  type Elementwise,
  elementwise,
  type Reduction,
  type Rowwise,
  reduction,
  rowwise,
} from '../src/kernel-places.js';
import { createLaunch } from '../src/launch.js';
import { createPrograms } from '../src/programs.js';
import { createStorage } from '../src/storage.js';
import { immediate } from '../src/stream.js';

const own = { arrays: ['x'], integers: ['shift'], numbers: ['factor'] };
const where: Elementwise = {
  ...own,
  name: 'where',
  body: ({ row, class: c }) => `return factor * (x[this.thread.x] + (${row}) * 1000 + (${c})) + shift;`,
};
const firstOfRow: Rowwise = { ...own, name: 'first', body: ({ at }) => `return factor * x[${at('0')}] + shift;` };
const weighted: Reduction = {
  ...own,
  name: 'weighted',
  start: ({ row }) => `let result = factor * (${row}) + shift;`,
  step: (j, k) => `result += x[${j}] * (${k});`,
};
const counted: Reduction = {
  name: 'counted',
  arrays: ['x'],
  start: () => 'let result = 0;',
  step: (j) => `part += x[${j}];`,
  inParts: true,
};
const total: Reduction = { ...counted, name: 'total', inParts: false, step: (j) => `result += x[${j}];` };

test('a program has the parameters of its layout before those of its kernel, and is made once for each layout', () => {
  const [flat, strided] = [elementwise(where, true), elementwise(where, false)];
  expect([flat.name, strided.name]).toEqual(['where/flat', 'where']);
  expect(flat).toMatchObject({ arrays: ['x'], integers: ['classes', 'inner', 'shift'], numbers: ['factor'] });
  expect(elementwise(where, true)).toBe(flat);
  expect(elementwise(where, false)).toBe(strided);
  const fresh = { ...weighted };
  const names = [true, false].flatMap((one) => [true, false].map((single) => reduction(fresh, one, single).name));
  expect(names).toEqual(['weighted/flat/single', 'weighted/flat', 'weighted/single', 'weighted']);
  expect(reduction(fresh, false, false).integers).toEqual(['classes', 'inner', 'blocks', 'shift']);
  expect(reduction({ ...counted }, true, true)).toMatchObject({
    integers: ['classes', 'inner', 'blocks'],
    numbers: [],
  });
  expect(rowwise({ ...firstOfRow }, true).name).toBe('first/flat');
});

test.each([
  { outer: 3, classes: 5, inner: 1 },
  { outer: 3, classes: 5, inner: 4 },
  { outer: 2, classes: 600, inner: 1 },
  { outer: 2, classes: 600, inner: 3 },
])('kernels address the entries and rows of %o', async (rows) => {
  const library = await loadGpu();
  const engine = await openHost(library, 'cpu');
  const storage = createStorage(engine, immediate, createPrograms(engine, library, 16));
  const launch = createLaunch(storage);
  const { outer, classes, inner } = rows;
  const values = Float32Array.from({ length: outer * classes * inner }, (_, k) => (k % 7) + 1);
  const x = storage.alloc(values.length, 'float32');
  storage.write(x, values);
  const computed = (length: number, run: (out: typeof x) => void) => {
    const out = storage.alloc(length, 'float32');
    run(out);
    return [...storage.readSync(out)];
  };
  const scalars = { integers: [3], numbers: [2] };
  const entries = [...values].map((value, k) => {
    const c = Math.floor(k / inner) % classes;
    return { value, k, c, row: Math.floor(k / (classes * inner)) * inner + (k % inner) };
  });
  const ofRow = (row: number) => entries.filter((entry) => entry.row === row);
  const each = Array.from({ length: outer * inner }, (_, row) => row);

  expect(computed(values.length, (out) => launch.elementwise(where, out, [x], rows, scalars))).toEqual(
    entries.map(({ value, row, c }) => 2 * (value + row * 1000 + c) + 3),
  );
  expect(computed(each.length, (out) => launch.rowwise(firstOfRow, out, [x], rows, scalars))).toEqual(
    each.map((row) => 2 * (ofRow(row)[0]?.value ?? Number.NaN) + 3),
  );
  const merge = { kernel: total };
  expect(computed(each.length, (out) => launch.reduce(counted, out, [x], rows, {}, merge))).toEqual(
    each.map((row) => ofRow(row).reduce((sum, { value }) => sum + value, 0)),
  );
  // The start of each block counts: there are ⌈classes / 256⌉ blocks.
  expect(computed(each.length, (out) => launch.reduce(weighted, out, [x], rows, scalars, merge))).toEqual(
    each.map((row) => {
      const starts = Math.ceil(classes / 256) * (2 * row + 3);
      return ofRow(row).reduce((sum, { value, c }) => sum + value * c, starts);
    }),
  );
  await engine.close();
});
