import { type Contender, parseReport, peers, runBench, stringifyReport } from '@softgrad/bench';
import { backends } from 'softgrad/backends';
import { expect, inject, test } from 'vitest';
import { availableBackends, openItsLink, textOf, usePlayground } from './playground.js';

const { open, openAnew } = usePlayground();
const { naive } = peers;

const shapes = inject('everything') ? '64x10,16x100' : '64x10';
const quick = `ops=softmax&shapes=${shapes}&rounds=3`;

// One backend that computes synchronously and one that waits for a GPU; Explore computes on every backend.
test('backends and another library are timed, drawn, downloaded, and compared with a report from elsewhere', async () => {
  const names = inject('everything') ? Object.keys(backends) : ['cpu', 'webgpu'];
  const page = await open(`bench?${quick}&backends=`);
  await availableBackends(page);
  for (const name of names) await page.locator(`[data-backend=${name}]`).getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const save = page.getByRole('button', { name: 'Download JSON' });
  await save.waitFor();
  await page.getByRole('img', { name: 'times as fast as naive' }).waitFor();
  const times = page.getByRole('img', { name: 'Time of a call against the number of elements' });
  expect(await times.locator('.points path').count()).toBe(shapes.split(',').length * (names.length + 1));

  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  const text = await textOf(download);
  const report = JSON.parse(text);
  expect(report.schema).toBe('softgrad-bench/1');
  expect(report.contenders.map(({ name }: { name: string }) => name)).toEqual([...names, 'naive']);
  expect(report.environment.runtime).toContain('Chrome');
  expect(report.environment.crossOriginIsolated).toBe(true);

  const chooser = page.locator('input[type=file]');
  await chooser.setInputFiles({ name: 'other.json', mimeType: 'application/json', buffer: Buffer.from(text) });
  await page.getByRole('heading', { name: 'A against B' }).waitFor();
  await page.getByRole('img', { name: 'times as fast in A as in B' }).waitFor();
  // What is shown, and what the columns of the tables are, is said there.
  const runs = page.getByRole('region', { name: 'Runs' });
  expect(await runs.locator('.caption').textContent()).toContain('into an output that exists');
  await runs.getByRole('radio', { name: 'end to end' }).check();
  await expect.poll(() => runs.locator('.caption').textContent()).toContain('copy to the device, compute, copy back');
  await page.getByText('Numbers of A').click();
  await page.getByRole('listitem').filter({ hasText: 'speed-up: the time of naive divided by' }).first().waitFor();
  await chooser.setInputFiles({ name: 'wrong.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
  await page.getByText('wrong.json: not a report; expected what softgrad bench --json wrote').waitFor();
  // The previous report stays.
  await page.getByRole('heading', { name: 'A against B' }).waitFor();
});

test('a call with an option is chosen, timed and in the link', async () => {
  const page = await open('bench?ops=&shapes=64x10&rounds=3&backends=cpu');
  await page.getByRole('group', { name: 'Operations' }).getByLabel('softmax:causalMask').check();
  await expect.poll(() => new URL(page.url()).hash).toMatch(/^#bench\?ops=softmax%3AcausalMask&/);
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const save = page.getByRole('button', { name: 'Download JSON' });
  await save.waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  const report = parseReport(await textOf(download), 'the download');
  expect(report.workloads.map(({ workload, results }) => [workload.op, results.map(({ missing }) => missing)])).toEqual(
    [['softmax:causalMask', [null, null]]],
  );
});

test('a damaged, old or truncated report is an error, and a report with wrong contenders is shown', async () => {
  const wrong = { ...naive, name: 'wrong', open: openWrong };
  const report = await runBench({
    workloads: [{ op: 'softmax', shape: [2, 3], dtype: 'float32' }],
    contenders: [naive, wrong],
    rounds: 3,
    sampleMs: 1,
  });
  const text = stringifyReport(report);
  const page = await open('bench');
  const chooser = page.locator('input[type=file]');
  const load = (name: string, content: string) =>
    chooser.setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(content) });
  const broken: Readonly<Record<string, [string, string]>> = {
    'cut.json': [text.slice(0, 300), 'cut.json: not JSON: '],
    'old.json': [text.replace('softgrad-bench/1', 'softgrad-bench/0'), 'old.json: a report of schema softgrad-bench/0'],
    'place.json': [text.replace('"date"', '"day"'), 'place.json: environment.date is missing'],
    'shape.json': [text.replace('"shape"', '"size"'), 'shape.json: workloads[0].workload.shape is missing'],
    'time.json': [text.replace('"timings"', '"times"'), 'time.json: workloads[0].results[0].timings must be an object'],
    'list.json': [
      text.replace('"contenders": [', '"contenders": [null,'),
      'list.json: contenders[0] must be an object',
    ],
  };
  for (const [name, [content, problem]] of Object.entries(broken)) {
    await load(name, content);
    await page.getByText(problem).waitFor();
    expect(await page.locator('.chart').count()).toBe(0);
  }
  // JSON represents NaN as text.
  expect(report.workloads[0].results[1].correctness?.worstUlp).toBeNaN();
  await load('whole.json', text);
  await page.locator('.chart').first().waitFor();
  await page.getByText('All numbers').click();
  await page
    .getByText(/wrong: the results contain NaN/)
    .first()
    .waitFor();
  expect(await page.locator('.problem').count()).toBe(0);
});

/** naive loops whose result is NaN. */
async function openWrong(): Promise<Contender | string> {
  const contender = await naive.open();
  if (typeof contender === 'string') return contender;
  return {
    ...contender,
    name: 'wrong',
    async prepare(workload, input) {
      const job = await contender.prepare(workload, input);
      if (typeof job === 'string') return job;
      return { ...job, result: async () => new Float32Array(6).fill(Number.NaN) };
    },
  };
}

test('the labels of the axes do not overlap on a phone', async () => {
  const workload = { op: 'softmax', shape: [2, 3], dtype: 'float32' } as const;
  const small = await runBench({ workloads: [workload], contenders: [naive], rounds: 3, sampleMs: 1 });
  const shapes = [
    [64, 10],
    [4096, 10],
    [256, 1000],
  ] as const;
  const report = {
    ...small,
    workloads: shapes.map((shape) => ({ ...small.workloads[0], workload: { ...workload, shape } })),
  };
  const page = await open('bench');
  await page.setViewportSize({ width: 340, height: 740 });
  const buffer = Buffer.from(stringifyReport(report));
  await page.locator('input[type=file]').setInputFiles({ name: 'a.json', mimeType: 'application/json', buffer });
  const labels = page.locator('.chart').first().locator('text');
  await labels.filter({ hasText: '10k' }).waitFor();
  const places = await labels.evaluateAll((texts) =>
    texts
      .filter(({ textContent }) => textContent?.trim())
      .map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }))
      .map(({ text, box: { left, right, top, bottom } }) => ({ text, left, right, top, bottom })),
  );
  const overlapping = places.flatMap((a, k) =>
    places
      .slice(k + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1)
      .map((b) => `${a.text} and ${b.text}`),
  );
  expect(overlapping).toEqual([]);
});

test('no two of many contenders look alike, and the ratios name theirs', async () => {
  const names = ['naive', 'second', ...Array.from({ length: 12 }, (_, k) => `contender-${k}`)];
  const report = await runBench({
    workloads: [{ op: 'softmax', shape: [2, 3], dtype: 'float32' }],
    contenders: [naive, { ...naive, name: 'second', open: openSecond }],
    rounds: 3,
    sampleMs: 1,
  });
  const [workload] = report.workloads;
  if (!workload) throw new Error('nothing was timed');
  const [first, second] = workload.results;
  const results = names.map((contender) => ({ ...(contender === 'naive' ? first : second), contender }));
  const buffer = Buffer.from(JSON.stringify({ ...report, workloads: [{ ...workload, results }] }));
  const page = await open('bench');
  await page.locator('input[type=file]').setInputFiles({ name: 'a.json', mimeType: 'application/json', buffer });

  const swatches = page.locator('.legend-swatch');
  await expect.poll(() => swatches.allTextContents()).toEqual(names);
  const looks = await swatches.evaluateAll((all) =>
    all.map((swatch) => {
      const [drawn, path] = [swatch.querySelector('svg'), swatch.querySelector('path')];
      return { colour: drawn && getComputedStyle(drawn).fill, symbol: path?.getAttribute('d') };
    }),
  );
  expect(new Set(looks.map(({ colour, symbol }) => `${colour} ${symbol}`)).size).toBe(names.length);
  expect(new Set(looks.slice(0, 7).map(({ symbol }) => symbol)).size).toBe(7);
  // The points have the looks of the legend.
  const drawn = await page
    .getByRole('img', { name: 'Time of a call' })
    .locator('.points path')
    .evaluateAll((points) => points.map((point) => getComputedStyle(point).fill));
  expect(drawn).toEqual(looks.map(({ colour }) => colour));

  const ratios = page.getByRole('img', { name: 'times as fast as naive' });
  for (const width of [1280, 360]) {
    await page.setViewportSize({ width, height: 740 });
    const labels = ratios.locator('text').filter({ hasText: /^(second|contender-\d+)$/ });
    await expect.poll(async () => (await labels.allTextContents()).sort()).toEqual(names.slice(1).sort());
    const right = await labels.evaluateAll((all) => Math.max(...all.map((l) => l.getBoundingClientRect().right)));
    const left = await ratios
      .locator('.points path')
      .evaluateAll((all) => Math.min(...all.map((point) => point.getBoundingClientRect().left)));
    expect(right, `${width} px`).toBeLessThan(left);
    // Differences between engines may be less than 10 %.
    const ticks = await ratios
      .locator('text')
      .filter({ hasText: /^[\d.]+×$/ })
      .allTextContents();
    expect(ticks).toEqual([...new Set(ticks)]);
  }
});

test('the axis of the ratios has two numbers at least, which do not overlap, on a phone as well', async () => {
  const report = await runBench({
    workloads: [{ op: 'softmax', shape: [2, 3], dtype: 'float32' }],
    contenders: [naive, { ...naive, name: 'second', open: openSecond }],
    rounds: 3,
    sampleMs: 1,
  });
  const [workload] = report.workloads;
  const [first, second] = workload?.results ?? [];
  const page = await open('bench');
  for (const faster of [1.05, 1.5, 3.5, 9.5, 40, 120, 5000, 0.5, 0.05]) {
    const measured = { ratio: 1 / faster, interval: [0.99 / faster, 1.01 / faster], significant: true };
    // As long as the longest name of a library.
    const contender = `library-${faster}`.padEnd(19, '-');
    const results = [first, { ...second, contender, ratios: { reused: measured, allocating: measured } }];
    const buffer = Buffer.from(JSON.stringify({ ...report, workloads: [{ ...workload, results }] }));
    await page.locator('input[type=file]').setInputFiles({ name: 'a.json', mimeType: 'application/json', buffer });
    const ratios = page.getByRole('img', { name: 'times as fast as naive' });
    await ratios.locator('text', { hasText: contender }).waitFor();
    for (const width of [1280, 360, 320]) {
      await page.setViewportSize({ width, height: 740 });
      // It is drawn again for the width of its place.
      const lacking = () =>
        ratios.evaluate((chart) => (chart.parentElement?.clientWidth ?? 0) - Number(chart.getAttribute('width')));
      await expect.poll(lacking).toBe(0);
      const ticks = await ratios
        .locator('text')
        .filter({ hasText: /^[\d.]+×$/ })
        .evaluateAll((all) =>
          all.map((text) => {
            const { left, right } = text.getBoundingClientRect();
            return { text: text.textContent, left, right };
          }),
        );
      const where = `${faster} times as fast, ${width} px: ${JSON.stringify(ticks)}`;
      expect(ticks.length, where).toBeGreaterThan(1);
      expect(ticks.length, where).toBeLessThan(11);
      expect(ticks.map(({ text }) => text)).toContain('1×');
      // Each line of the grid has its number; one more line marks 1.
      expect(await ratios.locator('line').count(), where).toBe(ticks.length + 1);
      expect(
        ticks.every(({ left }, k) => k === 0 || left > (ticks[k - 1]?.right ?? 0)),
        where,
      ).toBe(true);
    }
  }
});

async function openSecond(): Promise<Contender | string> {
  const contender = await naive.open();
  return typeof contender === 'string' ? contender : { ...contender, name: 'second' };
}

test('rounds in a link that are none are an error next to their field', async () => {
  const page = await open('bench?rounds=2');
  const refused = page
    .getByRole('alert')
    .filter({ hasText: 'rounds: the link has “2”; expected an integer from 3 to 99' });
  await refused.waitFor();
  expect(await page.getByRole('textbox', { name: 'rounds' }).inputValue()).toBe('9');
  await page.getByRole('textbox', { name: 'rounds' }).fill('5');
  await expect.poll(() => refused.count()).toBe(0);
});

test('what a link has chosen and cannot run here can be unchecked', async () => {
  const page = await open('bench?backends=cpu,webgpu&peers=naive,onnxruntime-node', { without: 'gpu' });
  expect((await availableBackends(page)).get('webgpu')).toBe(false);
  await page.locator('[data-backend=webgpu] .reason').waitFor();
  await page.locator('[data-backend=webgpu]').getByRole('checkbox').uncheck();
  await page.getByRole('checkbox', { name: /^onnxruntime-node(?!-2t)/ }).uncheck();
  await expect.poll(() => new URL(page.url()).hash).toBe('#bench?backends=cpu');
  // One that no link has chosen stays disabled.
  expect(await page.getByRole('checkbox', { name: 'onnxruntime-node-2t' }).isDisabled()).toBe(true);
  const other = await open('bench?backends=cpu', { without: 'gpu' });
  expect((await availableBackends(other)).get('webgpu')).toBe(false);
  expect(await other.locator('[data-backend=webgpu]').getByRole('checkbox').isDisabled()).toBe(true);
});

test('what a link names and nobody knows is listed, with the reason, until it is unchecked', async () => {
  const page = await open('bench?ops=softmax,hardmax&backends=cpu,cuda,wasm:threads=2&peers=naive,numpy');
  const box = (name: RegExp) => page.getByRole('checkbox', { name });
  await page.getByText("no backend is named 'cuda': known are cpu, wasm, webgpu, gpujs, tfjs").waitFor();
  expect(await page.locator('label', { has: box(/^hardmax/) }).textContent()).toBe('hardmaxunknown operation');
  expect(await page.locator('label', { has: box(/^numpy/) }).textContent()).toBe('numpyunknown library');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: 'hardmax' }).waitFor();
  for (const name of [/^hardmax/, /^cuda/, /^wasm:threads=2/, /^numpy/]) await box(name).uncheck();
  await expect.poll(() => new URL(page.url()).hash).toBe('#bench?ops=softmax&backends=cpu');
});

test('a run can be cancelled, and an empty selection is an error', async () => {
  const shapes = Array.from({ length: 4 }, (_, k) => `16x${10 + k}`);
  const page = await open(`bench?ops=softmax&shapes=${shapes}&rounds=99&backends=cpu`);
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isEnabled()).toBe(true);
  expect(await page.locator('.problem').count()).toBe(0);
  await page.getByRole('checkbox', { name: 'softmax', exact: true }).uncheck();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('Nothing to run: choose at least one operation').waitFor();
});

test('results stay while another panel is shown, and a run that another panel ends is said to be cancelled', async () => {
  const page = await openAnew('bench?ops=softmax&shapes=64x10,16x10&rounds=3&backends=');
  const run = page.getByRole('button', { name: 'Run', exact: true });
  await run.click();
  await page.locator('.chart').first().waitFor();
  await openItsLink(page);
  await page.locator('.chart').first().waitFor();
  expect(await page.getByText('The run was cancelled').count()).toBe(0);

  await page.getByRole('textbox', { name: 'rounds' }).fill('999');
  await run.click();
  await page.locator('output', { hasText: 'softmax 64×10' }).waitFor();
  await openItsLink(page);
  await page.getByText(/^The run was cancelled after 0 of 2 workloads, because another panel was opened: /).waitFor();
  expect(await run.isEnabled()).toBe(true);
  // The results of the run before.
  await page.locator('.chart').first().waitFor();
  await page.getByRole('textbox', { name: 'rounds' }).fill('3');
  await run.click();
  await page.getByRole('button', { name: 'Cancel' }).waitFor({ state: 'detached' });
  expect(await page.getByText('The run was cancelled').count()).toBe(0);
});
