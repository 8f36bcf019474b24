import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { csv, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

type Rows = readonly (readonly number[])[];

const s: Rows = signal.map((row) => {
  const e = row.map(Math.exp);
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((value) => value / sum);
});
/** The two derivatives of the original question: the Jacobian's rows summed over np.roll, and by J.sum. */
const rolled = s.map((row) =>
  row.map((own, i) => own * (1 - own) + (-own * row[(i + 2) % 3] + -own * row[(i + 1) % 3])),
);
const summed = s.map((row) =>
  row.map((_, i) => row.reduce((sum, p, j) => sum + (i === j ? p * (1 - p) : -p * row[i]), 0)),
);
const upstream = signal.map((row, n) => row.map((_, i) => Math.sin(n + 2 * i)));
const right = s.map((row, n) =>
  row.map((p, i) => p * (upstream[n][i] - row.reduce((a, q, k) => a + q * upstream[n][k], 0))),
);
const labels = [0, 1, 2, 0];
const fused = s.map((row, n) => row.map((p, i) => (p - (i === labels[n] ? 1 : 0)) / 4));

const logits = folder.writeNpy('logits.npy', signal);
const probabilities = folder.write('probabilities.csv', csv(s));
const files = {
  rolled: folder.writeNpy('rolled.npy', rolled),
  summed: folder.write('summed.json', JSON.stringify(summed)),
  right: folder.write('right.csv', csv(right)),
  fused: folder.write('fused.csv', csv(fused)),
  upstream: folder.writeNpy('upstream.npy', upstream),
  labels: folder.write('labels.csv', `${labels.join('\n')}\n`),
  labelsInOneRow: folder.write('labels-row.csv', `${labels.join(',')}\n`),
  jacobian: folder.write(
    'jacobian.json',
    JSON.stringify(s.map((row) => row.map((p, i) => row.map((q, j) => p * ((i === j ? 1 : 0) - q))))),
  ),
};

interface Report {
  readonly verdict: string;
  readonly why: string;
  readonly matches: readonly { readonly id: string; readonly error: number }[];
  readonly evidence: { readonly notes: readonly string[] };
  readonly instead: { readonly typescript: string; readonly numpy: string };
}

async function doctor(...args: string[]): Promise<Report> {
  const { status, stdout, stderr } = await softgrad(['doctor', ...args, '--json']);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

describe("the question's own derivatives", () => {
  test.each([
    ['np.roll', files.rolled],
    ['J.sum', files.summed],
  ])('%s is named as summed rows, from logits and from probabilities', async (_, gradient) => {
    for (const source of [
      ['--logits', logits],
      ['--probs', probabilities],
    ]) {
      const { verdict, matches, instead } = await doctor(...source, '--grad', gradient);
      expect(verdict).toBe('row-sum');
      expect(matches).toHaveLength(1);
      expect(matches[0].error).toBe(0);
      expect(instead.typescript).toBe('const dx = softmax.vjp(s, g);');
    }
  });

  test('that are exactly 0: the options that decide have the names of the command', async () => {
    const zeros = folder.writeNpy(
      'zeros.npy',
      signal.map((row) => row.map(() => 0)),
    );
    const { stdout } = await softgrad(['doctor', '--probs', probabilities, '--grad', zeros]);
    const decides = 'Nothing in the numbers tells it from right: --upstream can, or --target with --layer.';
    expect(stdout).toContain(decides);
    expect((await doctor('--probs', probabilities, '--grad', zeros)).why).toContain(decides);
    expect(
      (await doctor('--probs', probabilities, '--grad', zeros, '--target', '0,1,2,0', '--layer', 'cross-entropy'))
        .verdict,
    ).toBe('row-sum');
    const other = folder.writeNpy(
      'other-gradient.npy',
      signal.map((row, n) => row.map((value, i) => value * Math.sin(9 * n + i))),
    );
    expect((await doctor('--probs', probabilities, '--grad', other)).why).toContain(
      'only with --upstream or --target.',
    );
  });

  test('are explained in three parts', async () => {
    const { status, stdout } = await softgrad(['doctor', '--logits', logits, '--grad', files.rolled]);
    expect(status).toBe(0);
    const parts = stdout.split('\n\n').map((part) => part.split('\n')[0]);
    expect(parts).toEqual(['What your numbers are', 'Why', 'What to write instead']);
    expect(stdout).toContain('Summed Jacobian rows');
    expect(stdout).toMatch(/relative error 0\.\n.*next best explanation, .*, is off by \d/);
    expect(stdout).toMatch(/TypeScript {2}const dx = softmax\.vjp\(s, g\);\n {2}NumPy {7}dx = s \* \(g - /);
  });
});

test('correct gradients are right: the product, and the cross-entropy with labels in a column or a row', async () => {
  expect((await doctor('--logits', logits, '--grad', files.right, '--upstream', files.upstream)).verdict).toBe('right');
  for (const target of [files.labels, files.labelsInOneRow]) {
    expect((await doctor('--logits', logits, '--grad', files.fused, '--target', target)).verdict).toBe('right');
  }
});

test('options affect the diagnosis: reduction, temperature, axis', async () => {
  const withLabels = ['--logits', logits, '--grad', files.fused, '--target', files.labels];
  expect((await doctor(...withLabels, '--reduction', 'sum')).verdict).toBe('batch-size');
  expect((await doctor(...withLabels, '--reduction', 'mean')).verdict).toBe('right');
  const product = ['--grad', files.right, '--upstream', files.upstream];
  expect((await doctor('--probs', probabilities, ...product, '--temperature', '2')).verdict).toBe('temperature');
  const flip = (rows: Rows) => JSON.stringify(rows[0].map((_, i) => rows.map((row) => row[i])));
  const flipped = [signal, right, upstream].map((rows, k) => folder.write(`flipped-${k}.json`, flip(rows)));
  const { verdict, instead } = await doctor(
    '--logits',
    flipped[0],
    '--grad',
    flipped[1],
    '--upstream',
    flipped[2],
    '--axis',
    '0',
  );
  expect(verdict).toBe('right');
  expect(instead.typescript).toBe('const dx = softmax.vjp(s, g, { axis: 0 });');
});

test('a temperature that is not given is found in the numbers, and one that is given is taken as it is', async () => {
  const atTwo = signal.map((row, n) => {
    const e = row.map((x) => Math.exp(x / 2));
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map((value, i) => (value / sum - (i === labels[n] ? 1 : 0)) / 8);
  });
  const numbers = ['--logits', logits, '--target', files.labels, '--grad', folder.write('at-two.csv', csv(atTwo))];
  const found = await doctor(...numbers);
  expect(found.verdict).toBe('right');
  expect(found.instead.typescript).toBe('const { loss, gradient } = crossEntropy(logits, target, { temperature: 2 });');
  expect((await doctor(...numbers, '--temperature', '2')).verdict).toBe('right');
  const given = await softgrad(['doctor', ...numbers, '--temperature', '1']);
  expect(given.stdout).toContain('They are right at the temperature 2, which is not the one that was given.');
});

test("the layer, the mask and the loss's options affect the diagnosis", async () => {
  const smoothed = s.map((row, n) => row.map((p, i) => p - (i === labels[n] ? 0.7 : 0) - 0.1));
  const weight = [1, 2, 0.5];
  const weighted = fused.map((row, n) => row.map((value) => 4 * value * weight[labels[n]]));
  const ignoring = fused.map((row, n) => row.map((value) => (n === 1 ? 0 : 4 * value)));
  const kept = signal.map((row) => row.map((value, i) => (i === 1 ? 0 : Math.exp(value))));
  const masked = kept.map((row) => row.map((e) => e / row.reduce((a, b) => a + b, 0)));
  const through = masked.map((row, n) =>
    row.map((p, i) => p * (upstream[n][i] - row.reduce((a, q, k) => a + q * upstream[n][k], 0))),
  );
  const write = (name: string, rows: Rows) => folder.write(name, csv(rows));
  const options = {
    smoothed: write('smoothed.csv', smoothed),
    weighted: write('weighted.csv', weighted),
    ignoring: write('ignoring.csv', ignoring),
    masked: write('masked.csv', through),
    weight: write('weight.csv', [weight]),
    mask: write('mask.csv', [[1, 0, 1]]),
    some: folder.write('some.csv', '0\n-1\n2\n0\n'),
  };
  const verdict = async (...args: string[]) => (await doctor('--logits', logits, ...args)).verdict;
  const withLabels = ['--target', files.labels];
  expect(await verdict('--grad', options.smoothed, ...withLabels, '--label-smoothing', '0.3')).toBe('right');
  expect(await verdict('--grad', options.smoothed, ...withLabels, '--label-smoothing', '0.1')).toBe('unknown');
  expect(await verdict('--grad', options.weighted, ...withLabels, '--weight', options.weight)).toBe('right');
  expect(await verdict('--grad', options.ignoring, '--target', options.some, '--ignore-index', '-1')).toBe('right');
  const product = ['--grad', options.masked, '--upstream', files.upstream];
  expect(await verdict(...product, '--mask', options.mask)).toBe('right');
  expect(await verdict('--grad', files.right, '--upstream', files.upstream, '--mask', options.mask)).toBe(
    'mask-missing',
  );
  const asLogarithms = ['--grad', files.right, '--upstream', files.upstream, '--layer', 'log-softmax'];
  expect(await verdict(...asLogarithms)).toBe('softmax-derivative');
});

test('Jacobians are read from .json', async () => {
  expect((await doctor('--logits', logits, '--grad', files.jacobian)).verdict).toBe('right');
  expect((await doctor('--logits', logits, '--grad', files.jacobian, '--upstream', files.upstream)).verdict).toBe(
    'upstream-missing',
  );
});

test('the last part says whether there is anything to change', async () => {
  const rightText = (
    await softgrad(['doctor', '--logits', logits, '--grad', files.right, '--upstream', files.upstream])
  ).stdout;
  expect(rightText).toContain('\n\nNothing to change; the same in one line\n');
  expect(rightText).not.toContain('instead');
});

test('the expressions are listed by diagnosis, with their conditions; or as JSON', async () => {
  const { status, stdout } = await softgrad(['doctor', '--list']);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^right\n {2}s \* /);
  expect(stdout).toMatch(/\n {2}# One row only.* @ multiplies other things.*'nij,nj->ni'.*\n {2}J @ g\n {2}#/);
  expect(stdout).toMatch(/\n {2}# One row only.* @ multiplies .*'nij,ni->nj'.*\n {2}J\.T @ g\n {2}g @ J\n/);
  expect(stdout).toMatch(/\nrow-sum\n {2}J\.sum\(axis=1\)\n/);
  const list: { expression: string; id: string; caveat: string | null }[] = JSON.parse(
    (await softgrad(['doctor', '--list', '--json'])).stdout,
  );
  expect(list).toContainEqual({ expression: 'J.sum(axis=1)', id: 'row-sum', caveat: null });
  // Each condition once, above the expressions that have it, which are all there are.
  const listed: typeof list = [];
  let id = '';
  let caveat: string | null = null;
  for (const line of stdout.trimEnd().split('\n')) {
    if (!line.startsWith(' ')) [id, caveat] = [line, null];
    else if (line.startsWith('  # ')) caveat = line.slice(4);
    else listed.push({ expression: line.slice(2), id, caveat });
  }
  const sorted = (all: typeof list) => all.map((one) => JSON.stringify([one.id, one.expression, one.caveat])).sort();
  expect(sorted(listed)).toEqual(sorted(list));
  const conditions = new Set(list.flatMap((one) => (one.caveat === null ? [] : [`${one.id} ${one.caveat}`])));
  expect(stdout.match(/^ {2}# /gm)).toHaveLength(conditions.size);
  const naming = list.filter(({ caveat }) => caveat?.includes('@ multiplies'));
  expect(naming.map(({ expression }) => expression)).toEqual(['J @ g', 'J.T @ g', 'g @ J']);
});

test('its help has at most one and a half screens, with examples before exit codes', async () => {
  const { stdout } = await softgrad(['help', 'doctor']);
  expect(stdout.split('\n').length).toBeLessThan(50);
  expect(stdout).toMatch(/\nExamples:\n[\s\S]*\nExit code 0: a diagnosis, which may be 'ambiguous' /);
  for (const ending of ['npy', 'npz', 'safetensors', 'json', 'csv', 'tsv', 'txt'])
    expect(stdout).toContain(`.${ending}`);
});

test('an expression needs no files', async () => {
  expect((await doctor('--did', 'J.sum(axis=1)')).verdict).toBe('row-sum');
  expect((await doctor('--did', 's*(1-s)')).verdict).toBe('diagonal');
  expect((await doctor('--did', 'dx = s - y')).verdict).toBe('right');
});

test('code that is not in the list is run', async () => {
  const code = 'dA = -Y / A\nfor i in range(len(A)):\n    dA[i] = dA[i] * A[i] * (1 - A[i])\nreturn dA';
  const { verdict, evidence } = await doctor('--did', code);
  expect(verdict).toBe('diagonal');
  expect(evidence.notes[0]).toContain('running the code with made-up numbers');
  expect((await doctor('--did', 'nn.CrossEntropyLoss()(nn.Softmax(dim=1)(model(x)), y)')).verdict).toBe(
    'softmax-twice',
  );
  expect((await doctor('--did', 'd = s - y\nd /= len(d)\nd', '--reduction', 'sum')).verdict).toBe('batch-size');
});

test("the demo's wording of the np.roll derivative is known", async () => {
  const wording = /Adding (.*) over all k/.exec((await softgrad(['demo'])).stdout)?.[1] ?? '';
  expect(wording).toContain('np.roll');
  expect((await doctor('--did', wording)).verdict).toBe('row-sum');
});

test('it knows the lines that it prints, with their axis and temperature', async () => {
  const options = ['--axis', '0', '--temperature', '0.5'];
  const { instead } = await doctor('--did', 'J.sum(axis=1)', '--logits', logits, ...options);
  for (const line of [instead.typescript, instead.numpy]) {
    expect((await doctor('--did', line, ...options)).verdict).toBe('right');
  }
});

test('unexplained numbers are reported as unknown, exit code 0', async () => {
  const random = folder.writeNpy(
    'random.npy',
    signal.map((row, n) => row.map((_, i) => Math.sin(17 * n + 5 * i))),
  );
  const { verdict, matches } = await doctor('--logits', logits, '--grad', random);
  expect(verdict).toBe('unknown');
  expect(matches).toEqual([]);
});

test('the options that a note asks for are those of the command', async () => {
  const smoothed = s.map((row, n) => {
    const q = row.map((_, i) => ((i === labels[n] ? 0.9 : 0) + 0.1 / 3) * (i + 1));
    const sum = q.reduce((a, b) => a + b);
    return row.map((p, i) => p * sum - q[i]);
  });
  const gradient = folder.writeNpy('smoothed.npy', smoothed);
  const args = ['doctor', '--logits', logits, '--grad', gradient, '--target', files.labels];
  for (const more of [[], ['--json']]) {
    const { stdout } = await softgrad([...args, ...more]);
    expect(stdout).toContain('Give all options that it has (--label-smoothing, --weight, --ignore-index, --mask)');
  }
  const ignored = folder.writeNpy(
    'ignored.npy',
    fused.map((row, n) => row.map((value) => (n === 1 ? 0 : value))),
  );
  const { stdout } = await softgrad(['doctor', '--logits', logits, '--grad', ignored, '--target', '0,-100,2,0']);
  expect(stdout).toContain(
    "Divided by 4, the number of rows; PyTorch's mean divides by 3, the rows that count (--reduction mean decides).",
  );
});

test('NaN because exp overflows is recognized', async () => {
  writeFileSync(folder.at('large.json'), '[[1000, 2, 3], [1, 2, 3]]');
  writeFileSync(
    folder.at('broken.json'),
    '[[NaN, 0, 0], [0.08192506906499324, 0.1848364473823103, 0.2226954265346234]]',
  );
  expect((await doctor('--logits', folder.at('large.json'), '--grad', folder.at('broken.json'))).verdict).toBe(
    'missing-max-shift',
  );
});

test.each([
  [['--grad', files.rolled], /^softgrad: doctor: neither logits nor probabilities are given/],
  [['--logits', logits], /^softgrad: doctor: no gradient; expected --grad FILE, or --did EXPRESSION\n$/],
  [['--logits', logits, '--grad', files.rolled, '--did', 's - y'], /^softgrad: doctor: both --grad and --did/],
  [['--logits', logits, '--probs', probabilities, '--grad', files.rolled], /both logits and probabilities/],
  [
    ['--logits', logits, '--grad', folder.write('wide.json', '[[1, 2, 3, 4]]')],
    /^softgrad: --grad .*wide\.json: gradient is \(1, 4\).*expected \(4, 3\)/,
  ],
  [
    ['--logits', logits, '--grad', folder.write('vector.json', '[1, 5, 2]')],
    /^softgrad: --grad .*vector\.json: gradient is \(3,\) .*expected \(4, 3\) like the logits/,
  ],
  [
    ['--probs', files.upstream, '--grad', files.rolled],
    /^softgrad: --probs .*upstream\.npy: probabilities\[\d\]\[\d\] is -0\.\d+; expected a number from 0 to 1/,
  ],
  [
    ['--logits', logits, '--grad', files.rolled, '--target', folder.write('three.json', '[0, 1, 3, 0]')],
    /^softgrad: --target .*: target entry 2 is 3; expected a class index from 0 to 2, or -100 \(--ignore-index\) for a row to ignore/,
  ],
  ...['[[0, 1, 2], [0, 1, 2]]', '[[[0, 1, 2, 0]]]', '[[0]]'].map((text, k): [string[], RegExp] => [
    ['--logits', logits, '--grad', files.rolled, '--target', folder.write(`labels-${k}.json`, text)],
    new RegExp(
      `^softgrad: --target .*labels-${k}\\.json: target is ${['\\(2, 3\\)', '\\(1, 1, 4\\)', '\\(1, 1\\)'][k]}; expected class indices \\(4,\\) or probabilities \\(4, 3\\)`,
    ),
  ]),
  [
    ['--logits', logits, '--grad', files.rolled, '--target', '0,1,2'],
    /target is \(3,\); .*; it fits axis 0 \(--axis, by default the last\)\n$/,
  ],
  [['--logits', logits, '--grad', files.rolled, '--axis', '2'], /axis 2 of a rank-2 tensor/],
  [
    ['--logits', logits, '--grad', files.rolled, '--label-smoothing', '0.1'],
    /^softgrad: doctor: --label-smoothing is given without target; expected both\n$/,
  ],
  [
    ['--did', 's - y', '--mask', files.rolled],
    /^softgrad: --mask .*: mask is given without logits or probabilities; expected one of them too\n$/,
  ],
  [['--logits', logits, '--grad', folder.at('nowhere.npy')], /^softgrad: --grad .*nowhere\.npy: no such file/],
  [['--logits', logits, '--grad', files.rolled, '--target', '0,a'], /^softgrad: --target 0,a: no such file/],
  [
    ['logits.npy', 'rowsum.npy'],
    /^softgrad: doctor: logits\.npy rowsum\.npy without an option; expected --logits FILE --grad FILE, for example --logits logits\.npy --grad rowsum\.npy\n$/,
  ],
  [['a.npy'], /expected --logits FILE --grad FILE, for example --logits a\.npy --grad FILE\n$/],
  [['J.sum(axis=1)'], /^softgrad: doctor: J\.sum\(axis=1\) without an option; expected --did 'J\.sum\(axis=1\)'\n$/],
  [["np.einsum('nij->ni', J)"], /; expected --did "np\.einsum\('nij->ni', J\)"\n$/],
  [['s * (1 - s)'], /^softgrad: doctor: .* without an option; expected --did 's \* \(1 - s\)'\n$/],
  [['--grad', files.rolled, 'a.npy'], /expected --logits FILE --grad FILE, for example --logits a\.npy\n$/],
  [['--probs', probabilities, 'a.npy'], /expected --logits FILE --grad FILE, for example --grad a\.npy\n$/],
  [
    ['--logits', logits, '--grad', files.rolled, 'a.npy'],
    /a\.npy without an option; expected --logits FILE --grad FILE\n$/,
  ],
  [['--logits', logits, 'rowsum.npy'], /expected --logits FILE --grad FILE, for example --grad rowsum\.npy\n$/],
  [['a', 'b', 'c'], /a b c without an option; expected --logits FILE --grad FILE\n$/],
  [['--logits', '-', '--grad', '-'], /--logits and --grad cannot both be standard input/],
  [
    ['--did', 'J.total()'],
    /unknown expression `J\.total\(\)`; the nearest is `J\.sum\(\)` \(row-sum\); s are the probabilities, .*`softgrad doctor --list`/,
  ],
  [
    ['--did', 'J.sum(axis=3)'],
    /unknown expression `J\.sum\(axis=3\)`; the nearest are `J\.sum\(axis=1\)` \(row-sum\), /,
  ],
])('what is not as needed is said in one line, exit code 2: %j', async (args, message) => {
  const { status, stdout, stderr } = await softgrad(['doctor', ...args]);
  expect(status).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('a diagnosis of more than a second has a progress bar on a terminal, which is removed before the answer', async () => {
  let clock = 0;
  const slow = () => {
    clock += 100;
    return clock;
  };
  const args = ['doctor', '--logits', logits, '--grad', files.fused];
  const { status, stdout, stderr } = await softgrad(args, { terminal: true, now: slow });
  expect(stderr).toMatch(/comparing \S{30} \d+% /);
  expect({ status, fromBar: stdout.includes('comparing') }).toEqual({ status: 0, fromBar: false });
  const quick = await softgrad(args, { terminal: true });
  expect(quick.stderr).toBe('');
});

test('an error of standard input names it', async () => {
  const { stderr } = await softgrad(['doctor', '--logits', '-', '--did', 's - y'], { input: '[[1, NaN]]' });
  expect(stderr).toMatch(/^softgrad: --logits standard input: logits\[0\]\[1\] is NaN; /);
});

test('an error that is not about the input is a defect, not blamed on a file', async () => {
  // Each of three files has a bar for opening and one for reading, and the comparison has the last one.
  let bars = 0;
  const after = () => {
    bars++;
    return () => {};
  };
  const now = () => {
    if (bars === 7) throw new TypeError('no clock');
    return 0;
  };
  const args = ['doctor', '--logits', logits, '--grad', files.right, '--upstream', files.upstream];
  const { status, stderr } = await softgrad(args, { now, after, terminal: true });
  expect(stderr).toContain('softgrad: a defect of softgrad: no clock');
  expect(status).toBe(70);
});
