import { backends } from 'softgrad/backends';
import { expect, inject, test } from 'vitest';
import { availableBackends, explored, openItsLink, usePlayground } from './playground.js';

const { open, openAnew } = usePlayground();

const numbers = (texts: readonly string[]) => texts.map((text) => Number(text.replace('−', '-')));

test('shows the sample signal, its Jacobian with row sums of 0, and the correct product', async () => {
  const page = await open('explore');
  await explored(page);
  expect(await page.locator('.matrix .entry').allTextContents()).toEqual([
    ...['0.223', '−0.109', '−0.114'],
    ...['−0.109', '0.219', '−0.110'],
    ...['−0.114', '−0.110', '0.224'],
  ]);
  for (const text of await page.locator('.matrix .sum').allTextContents()) {
    expect(text).toMatch(/^0 (exactly|−?\d(\.\d)?e−1[678])$/);
  }
  expect(numbers(await page.locator('.product-table .strong').allTextContents())).toEqual([0.2229, -0.1091, -0.1138]);
  expect(await page.getByText('up to rounding; in grey').textContent()).toContain('float64');
  // Its columns have the entries of g, of the row sums and of dx: a row of it is a class, not an entry of one of them.
  expect(await page.locator('.product-table thead th').allTextContents()).toEqual([
    'class',
    expect.stringMatching(/^upstream gradient g/),
    expect.stringMatching(/^row sum of J/),
    expect.stringMatching(/^vjp dx/),
  ]);
  expect(await page.locator('.product-table tbody th').allTextContents()).toEqual(['0', '1', '2']);
  const widths = await page
    .locator('.product-table tr:nth-child(1) .signed-bar')
    .evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().width));
  expect(widths[0]).toBe(0);
  expect(widths[1]).toBeGreaterThan(20);
});

test('a number that is typed after the Tab key replaces a rounded one', async () => {
  const page = await open('explore?x=0.3394572666491664,2,3');
  await explored(page);
  const field = page.getByRole('textbox', { name: 'logit x₀, number' });
  expect(await field.inputValue()).toBe('0.33946');
  await page.getByRole('slider', { name: 'logit x₀' }).focus();
  await page.keyboard.press('Tab');
  await expect.poll(() => field.inputValue()).toBe('0.3394572666491664');
  await page.keyboard.type('1.5');
  expect(await field.inputValue()).toBe('1.5');
});

test('everything follows a logit, the temperature and the upstream gradient, and the link contains the state', async () => {
  const page = await open('explore?x=1,2,3');
  await explored(page);
  const read = async () => ({
    s: await page.locator('.bar-value').allTextContents(),
    J: await page.locator('.entry').allTextContents(),
    dx: await page.locator('.product-table .strong').allTextContents(),
  });
  const before = await read();
  expect(before.s).toEqual(['0.0900', '0.2447', '0.6652', '1.000']);

  const slider = page.getByRole('slider', { name: 'logit x₀' });
  await slider.focus();
  for (let k = 0; k < 3; k++) await page.keyboard.press('ArrowRight');
  await expect.poll(read).not.toEqual(before);
  const dragged = await read();
  expect(dragged.J).not.toEqual(before.J);
  expect(dragged.dx).not.toEqual(before.dx);

  await page.getByRole('textbox', { name: 'temperature, number' }).fill('2');
  await expect.poll(read).not.toEqual(dragged);
  const tempered = await read();
  await page.getByRole('textbox', { name: 'upstream gradient g₁, number' }).fill('-1.5');
  await expect.poll(async () => (await read()).dx).not.toEqual(tempered.dx);
  expect((await read()).s).toEqual(tempered.s);

  const shown = await read();
  expect(new URL(page.url()).hash).toContain('t=2');
  await openItsLink(page);
  await explored(page);
  await expect.poll(read).toEqual(shown);
});

test('a link opened in the same tab is followed, even within a panel', async () => {
  const page = await open('explore?x=0,0');
  await explored(page);
  const go = (hash: string) => page.evaluate((to) => location.assign(to), `#${hash}`);
  const probabilities = () => page.locator('.bar-value').allTextContents();
  expect(await probabilities()).toEqual(['0.5000', '0.5000', '1.000']);
  await go('explore?x=0,0,0,0');
  await expect.poll(probabilities).toEqual(['0.2500', '0.2500', '0.2500', '0.2500', '1.000']);
  await page.goBack();
  await expect.poll(probabilities).toEqual(['0.5000', '0.5000', '1.000']);
  await go('bench?ops=vjp');
  const isChosen = (name: string) => page.getByRole('checkbox', { name, exact: true }).isChecked();
  await page.getByRole('checkbox', { name: 'vjp', exact: true }).waitFor();
  expect([await isChosen('softmax'), await isChosen('vjp')]).toEqual([false, true]);
  await go('bench?ops=softmax');
  await expect.poll(async () => [await isChosen('softmax'), await isChosen('vjp')]).toEqual([true, false]);
  await go('conformance?backend=tfjs');
  await page.getByRole('radio', { name: 'tfjs' }).waitFor();
  await go('conformance?backend=wasm');
  await expect.poll(() => page.getByRole('radio', { name: 'wasm' }).isChecked()).toBe(true);
});

test('the link to the panel that is shown keeps its state, and the name of the page is the way to the start', async () => {
  const page = await open('explore?x=1,2,3');
  await explored(page);
  const probabilities = () => page.locator('.bar-value').allTextContents();
  await page.getByRole('textbox', { name: 'logit x₀, number' }).fill('3');
  await expect.poll(async () => (await probabilities())[0]).toBe('0.4223');
  await page.getByRole('link', { name: 'Explore' }).click();
  expect(new URL(page.url()).hash).toBe('#explore?x=3%2C2%2C3');
  expect(await probabilities()).toEqual(['0.4223', '0.1554', '0.4223', '1.000']);
  await page.getByRole('link', { name: 'softgrad playground, start' }).click();
  await expect.poll(probabilities).toEqual(['0.3353', '0.3252', '0.3394', '1.000']);
});

test('classes are added to every sample, and taken away', async () => {
  const page = await open('explore?x=1,2;3,4&g=0,5;6,7&row=1');
  await explored(page);
  const link = () => decodeURIComponent(new URL(page.url()).hash);
  const add = page.getByRole('button', { name: 'Add a class' });
  await add.click();
  await expect.poll(link).toBe('#explore?x=1,2,0;3,4,0&g=0,5,0;6,7,0&row=1');
  await expect.poll(() => page.locator('.bar-value').count()).toBe(4);
  expect(await page.locator('.matrix .entry').count()).toBe(9);
  const remove = page.getByRole('button', { name: 'Remove x' });
  expect(await remove.textContent()).toBe('Remove x₂');
  await remove.click();
  await expect.poll(link).toBe('#explore?x=1,2;3,4&g=0,5;6,7&row=1');
  await remove.click();
  await expect.poll(link).toBe('#explore?x=1;3&g=0;6&row=1');
  await expect.poll(() => page.locator('.bar-value').allTextContents()).toEqual(['1.000', '1.000']);
  // The last class stays, and the focus with the button.
  expect(await remove.getAttribute('aria-disabled')).toBe('true');
  await page.keyboard.press('Enter');
  expect(await remove.evaluate((button) => document.activeElement === button)).toBe(true);
  await add.click();
  await expect.poll(link).toBe('#explore?x=1,0;3,0&g=0,0;6,0&row=1');

  // The slider of the new class is in sight although twelve are shown at once.
  await page.evaluate((hash) => location.assign(hash), `#explore?x=${Array(13).fill(1)}`);
  await page.getByText('x₀ to x₁₁ of 13').waitFor();
  await add.click();
  await page.getByText('x₂ to x₁₃ of 14').waitFor();
  expect(await page.getByRole('textbox', { name: 'logit x₁₃, number' }).inputValue()).toBe('0');
});

test('a link is followed although the page writes its state before it hears of the link', async () => {
  const page = await open('explore', {
    before: () => {
      // The event comes late, as on a busy page.
      addEventListener('hashchange', (event) => {
        if (!event.isTrusted) return;
        event.stopImmediatePropagation();
        Object.assign(globalThis, { deliver: () => dispatchEvent(new HashChangeEvent('hashchange')) });
      });
    },
  });
  await explored(page);
  await page.evaluate(() => location.assign('#explore?x=5,6'));
  await page.waitForFunction(() => 'deliver' in globalThis);
  const probabilities = () => page.locator('.bar-value').allTextContents();
  const before = await probabilities();
  await page.getByRole('textbox', { name: 'temperature, number' }).fill('4');
  await expect.poll(probabilities).not.toEqual(before);
  await page.evaluate(() => Reflect.get(globalThis, 'deliver')());
  await expect.poll(probabilities).toEqual(['0.2689', '0.7311', '1.000']);
});

test('of many samples those around the chosen one are listed', async () => {
  const page = await open(`explore?x=${Array.from({ length: 20 }, (_, k) => `${k},0`).join(';')}&row=10`);
  await explored(page);
  const listed = () => page.locator('.sample-name').allTextContents();
  expect(await listed()).toEqual(['7', '8', '9', '10', '11', '12']);
  const field = page.getByRole('textbox', { name: 'sample' });
  await field.fill('0');
  await expect.poll(listed).toEqual(['0', '1', '2', '3', '4', '5']);
  await field.fill('19');
  await expect.poll(listed).toEqual(['14', '15', '16', '17', '18', '19']);
  expect(await page.getByRole('radio', { name: '19', exact: true }).isChecked()).toBe(true);
});

test('a pasted text stays as it was typed while it is edited, and is then shown as what was read', async () => {
  const page = await open('explore');
  await explored(page);
  await page.getByText('Paste or drop').click();
  const text = page.getByRole('textbox', { name: 'Signal as NumPy prints it, JSON or CSV' });
  await text.clear();
  await text.pressSequentially('1, 2\n3, 4');
  await page.getByText('(2, 2): 2 samples of 2 classes').waitFor();
  expect(await text.inputValue()).toBe('1, 2\n3, 4');
  await text.blur();
  await expect.poll(() => text.inputValue()).toBe('[[1, 2],\n [3, 4]]');
  // A wrong text stays, to be mended.
  await text.fill('1, x');
  await page.getByText('line 1, column 2 is "x"; expected a number').waitFor();
  await text.blur();
  expect(await text.inputValue()).toBe('1, x');
  // One that is dropped is not being typed.
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.setData('text/plain', '5, 6');
    return transfer;
  });
  await page.dispatchEvent('.signal-input', 'drop', { dataTransfer: data });
  await expect.poll(() => text.inputValue()).toBe('[[5, 6]]');
});

test('a sample can be chosen among many, and a saturated one is reported', async () => {
  const page = await open('explore?x=0,0,0;30,0,0');
  await explored(page);
  await page.getByRole('radio', { name: '1' }).check();
  await page.getByText('the softmax is saturated').waitFor();
  expect(await page.locator('.bar-value').first().textContent()).toBe('1.000');
});

test('a signal is pasted as JSON or CSV, and an error is shown next to it', async () => {
  const page = await open('explore');
  await explored(page);
  await page.getByText('Paste or drop').click();
  const box = page.getByRole('textbox', { name: 'Signal as NumPy prints it, JSON or CSV' });
  await box.fill('a,b\n0,0\n1,1\n');
  await expect.poll(() => page.locator('.bar-value').allTextContents()).toEqual(['0.5000', '0.5000', '1.000']);
  await box.fill('[[1, 2], [3]]');
  await page.getByText('pasted text: ragged: [1] has 1 entries; expected 2, as in [0]').waitFor();
  expect(await box.getAttribute('aria-invalid')).toBe('true');
  await box.fill('1,2\n3,x\n');
  await page.getByText('pasted text: line 2, column 2 is "x"; expected a number').waitFor();
  await box.fill('[[0. 0. 0. 0.]\n [1. 1. 1. 1.]]');
  await expect.poll(() => page.locator('.bar-value').first().textContent()).toBe('0.2500');
  await box.fill('[1, 1, 1, 1]');
  await expect.poll(() => page.locator('.bar-value').count()).toBe(5);
  expect(await page.locator('.problem').count()).toBe(0);
});

test('a signal too long for a link is there when its panel is opened again, and a link to it says what it lacks', async () => {
  const page = await open('explore');
  await explored(page);
  expect(await page.getByText('Too long for a link').count()).toBe(0);
  const rows = Array.from({ length: 300 }, (_, k) => `${k % 7},0.25,0.125,-1`);
  await page
    .locator('.signal-input input[type=file]')
    .setInputFiles({ name: 'long.csv', mimeType: 'text/csv', buffer: Buffer.from(rows.join('\n')) });
  await page.getByText('(300, 4): 300 samples of 4').waitFor();
  await page.getByText('Too long for a link: share the file instead.').waitFor();
  await page.getByRole('textbox', { name: 'sample' }).fill('250');
  await page.getByRole('textbox', { name: 'temperature, number' }).fill('2');
  const probabilities = () => page.locator('.bar-value').allTextContents();
  await expect.poll(async () => (await probabilities())[0]).toBe('0.8129');
  const link = new URL(page.url()).hash.slice(1);
  expect(link).toBe('explore?x=too-long&t=2');
  await openItsLink(page);
  await explored(page);
  expect((await probabilities())[0]).toBe('0.8129');
  await page.getByText('(300, 4): 300 samples of 4').waitFor();

  const elsewhere = await openAnew(link);
  await explored(elsewhere);
  const said = elsewhere.getByText('The link has no signal, which was too long for it: open its file, or paste it.');
  await said.waitFor();
  expect(await elsewhere.getByRole('textbox', { name: 'temperature, number' }).inputValue()).toBe('2');
});

test('a .npy file is opened, and dropped', async () => {
  const { npyElements, npyHeader } = await import('@softgrad/formats');
  const bytes = Buffer.concat([npyHeader('<f8', [2, 30]), npyElements(new Float64Array(60), '<f8')]);
  const page = await open('explore');
  await explored(page);
  await page.locator('.signal-input input[type=file]').setInputFiles({
    name: 'zeros.npy',
    mimeType: 'application/octet-stream',
    buffer: bytes,
  });
  await page.getByText('zeros.npy').waitFor();
  expect(await page.locator('.matrix-picture').getAttribute('aria-label')).toContain('30 by 30');
  expect(await page.locator('.zero-note').textContent()).toMatch(/Largest of the 30 row sums: 0 /);

  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['1,2,3\n'], 'row.csv'));
    return transfer;
  });
  await page.dispatchEvent('.signal-input', 'drop', { dataTransfer: data });
  await page.getByText('row.csv').waitFor();
  await expect
    .poll(() => page.locator('.bar-value').allTextContents())
    .toEqual(['0.0900', '0.2447', '0.6652', '1.000']);
});

test('a refused file is an error that names the signal still shown', async () => {
  const page = await open('explore');
  await explored(page);
  const load = (name: string, content: string | Buffer) =>
    page
      .locator('.signal-input input[type=file]')
      .setInputFiles({ name, mimeType: 'text/csv', buffer: Buffer.from(content) });
  await load('ragged.csv', '1,2\n3\n');
  await page.getByText('ragged.csv: line 2 has 1 cell').waitFor();
  await page.getByText('Still shown: sample signal').waitFor();
  await load('good.csv', '1,2\n3,4\n');
  await page.getByText('good.csv').waitFor();
  expect(await page.getByText('Still shown').count()).toBe(0);
  await load('index.csv', ',a,b\n0,1.0,2.0\n1,3,4\n');
  await page.getByText('index=False').waitFor();
  await page.getByText('Still shown: good.csv').waitFor();
  await load('thousands.csv', '"1,049.34","2,000.10"\n999.5,998.2\n');
  await page.getByText('thousands.csv: line 1, column 1 is "1,049.34"; expected no thousands separators').waitFor();
  await load('utf-16.csv', Buffer.from('\ufeffsep=;\r\n5;7\r\n', 'utf16le'));
  await page.getByText('utf-16.csv').waitFor();
  expect(await page.getByText('Still shown').count()).toBe(0);
});

test('of many classes twelve have sliders, any twelve in a row or all', async () => {
  const page = await open('explore');
  const warnings: string[] = [];
  page.on('console', (message) => warnings.push(message.text()));
  await page.evaluate((hash) => location.assign(hash), `#explore?x=${Array(40).fill(0)}`);
  await explored(page);
  const names = (kind: string) =>
    page.getByRole('slider', { name: kind }).evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
  const ends = async (kind: string) => {
    const found = await names(kind);
    return `${found[0]} … ${found.at(-1)}: ${found.length}`;
  };
  // The page that was there is explored already.
  await expect.poll(() => ends('logit')).toBe('logit x₀ … logit x₁₁: 12');
  await expect.poll(() => ends('upstream')).toBe('upstream gradient g₀ … upstream gradient g₁₁: 12');
  const controls = page.getByRole('group', { name: 'Which logits are shown' });
  const status = controls.getByRole('status');
  const next = page.getByRole('button', { name: 'next logits' });
  const previous = page.getByRole('button', { name: 'previous logits' });
  expect(await status.textContent()).toBe('x₀ to x₁₁ of 40');
  await next.focus();
  for (const shown of ['x₁₂ to x₂₃', 'x₂₄ to x₃₅', 'x₂₈ to x₃₉', 'x₂₈ to x₃₉']) {
    await page.keyboard.press('Enter');
    await expect.poll(() => status.textContent()).toBe(`${shown} of 40`);
  }
  // The focus stays although the button does nothing now.
  expect(await next.evaluate((button) => document.activeElement === button)).toBe(true);
  expect([await next.getAttribute('aria-disabled'), await previous.getAttribute('aria-disabled')]).toEqual([
    'true',
    'false',
  ]);
  await page.getByRole('textbox', { name: 'logit x₃₉, number' }).fill('100');
  await expect
    .poll(async () => (await page.locator('.bar-value').allTextContents()).slice(-2))
    .toEqual(['1.000', '1.000']);
  await page.getByRole('textbox', { name: 'first logit' }).fill('29');
  await page.getByText('first logit: expected 28 or less').waitFor();
  await previous.click();
  await expect.poll(() => ends('logit')).toBe('logit x₁₆ … logit x₂₇: 12');

  await page.getByRole('button', { name: 'show all 40 classes' }).click();
  await expect.poll(() => ends('upstream')).toBe('upstream gradient g₀ … upstream gradient g₃₉: 40');
  expect(await ends('logit')).toBe('logit x₁₆ … logit x₂₇: 12');
  await page.getByRole('button', { name: 'show 12 classes' }).click();
  await expect.poll(() => ends('upstream')).toBe('upstream gradient g₀ … upstream gradient g₁₁: 12');
  // Chromium warns of a canvas that is read back.
  expect(warnings).toEqual([]);
});

test('forty classes make no long page on a phone', async () => {
  const page = await open(`explore?x=${Array.from({ length: 40 }, (_, k) => k % 3)}`);
  await page.setViewportSize({ width: 360, height: 740 });
  await explored(page);
  const size = () => page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]);
  const [width, height] = await size();
  expect(width).toBe(360);
  expect(height).toBeLessThan(7 * 740);
});

test('a signal of many classes is computed whole and listed in part', async () => {
  const { npyElements, npyHeader } = await import('@softgrad/formats');
  const f = 20_000;
  const bytes = Buffer.concat([npyHeader('<f8', [2, f]), npyElements(new Float64Array(2 * f), '<f8')]);
  const page = await open('explore');
  await explored(page);
  await page.locator('.signal-input input[type=file]').setInputFiles({
    name: 'wide.npy',
    mimeType: 'application/octet-stream',
    buffer: bytes,
  });
  await page.getByText('the first 256 of 20000', { exact: true }).waitFor();
  const list = await page.locator('.bars').boundingBox();
  const total = await page.locator('.bars .total').boundingBox();
  expect(total?.y ?? Number.NaN, 'the sum is in sight').toBeLessThan((list?.y ?? 0) + (list?.height ?? 0));
  // All of them are summed, although few are listed.
  expect((await page.locator('.bar-value').allTextContents()).slice(-2)).toEqual(['5.0e−5', '1.000']);
  expect(await page.locator('.product-table .strong').count()).toBe(12);
  expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(10_000);
  // Any of them can be changed, although they are too many to show at once.
  expect(await page.getByRole('button', { name: /^show all/ }).count()).toBe(0);
  await page.getByRole('textbox', { name: 'first class' }).fill('19988');
  await page.getByRole('textbox', { name: `upstream gradient g${'₁₉₉₉₉'}, number` }).fill('20000');
  await expect.poll(() => page.locator('.product-table .strong').last().textContent()).toBe('0.9999');
});

test('a fully masked row, or one with a logit that overflows the dtype, is NaN, with an explanation', async () => {
  const masked = await open('explore?x=-Infinity,-Infinity;-Infinity,0');
  await explored(masked);
  expect(await masked.locator('.bar-value').allTextContents()).toEqual(['NaN', 'NaN', 'NaN']);
  await masked.getByText('Every class is masked out').waitFor();
  expect(await masked.locator('.matrix .sum').first().textContent()).toBe('NaN');
  expect(await masked.getByText('up to rounding; in grey').count()).toBe(0);
  // What holds for numbers is said of them only.
  const jacobian = masked.getByRole('region', { name: 'The Jacobian', exact: false }).locator('.caption');
  const product = masked.locator('.product .caption');
  expect(await jacobian.textContent()).toMatch(/every entry is NaN, as its probabilities are, and so is every sum\.$/);
  expect(await product.textContent()).toContain('at once; of this sample both are NaN, as the probabilities are. The');
  await masked.getByRole('radio', { name: '1', exact: true }).check();
  await expect.poll(() => masked.locator('.bar-value').allTextContents()).toEqual(['0', '1.000', '1.000']);
  expect(await jacobian.textContent()).toMatch(/every row, and every column, adds up to 0\.$/);
  expect(await product.textContent()).toContain('nothing can do that, so its gradient is 0. The product');
  for (const classes of [30, 600]) {
    const many = await open(`explore?x=${Array(classes).fill('-Infinity')}&t=2`);
    await explored(many);
    await expect.poll(() => many.locator('.product-table .signed-value').first().textContent()).toBe('NaN');
    if (classes < 512) expect(await many.locator('.zero-note').textContent()).toBe('Largest of the 30 row sums: NaN');
  }
  const huge = await open('explore?x=1e308,0&dtype=float32');
  await explored(huge);
  await huge.getByText('A logit overflows float32').waitFor();
});

test('the scales of the heat map and of the bars are written beside them', async () => {
  const page = await open('explore');
  await explored(page);
  const scale = page.locator('.scale');
  expect(await scale.locator('span').allTextContents()).toEqual(['−0.224', '', '0.224, the largest entry']);
  // Its end has the colour of that entry.
  const colours = await scale.locator('.scale-bar').evaluate((bar) => getComputedStyle(bar).backgroundImage);
  const largest = page.locator('.entry').filter({ hasText: '0.224' });
  expect(colours).toContain(`${await largest.evaluate((entry) => getComputedStyle(entry).backgroundColor)})`);
  await page.getByText('drawn on one scale, from −0.2229 to 0.2229.').waitFor();
  // The colours and lengths of a saturated softmax are the same, of other numbers.
  await page.getByRole('textbox', { name: 'logit x₀, number' }).fill('30');
  await expect.poll(() => scale.locator('span').first().textContent()).toBe('−2.6e−13');

  const many = await open(`explore?x=${Array.from({ length: 40 }, (_, k) => k % 3)}`);
  await explored(many);
  expect(await many.locator('.scale.picture span').first().textContent()).toBe('−0.048');

  const none = await open('explore?x=-Infinity,-Infinity');
  await explored(none);
  expect(await none.locator('.scale').count()).toBe(0);
});

test('an upstream gradient of 1 for every class gives the row sums, which are 0, and no bars of noise', async () => {
  const page = await open('explore?x=1,2,3;0.3,0.1,0.7&row=1&g=0,0,0;0,5,0');
  await explored(page);
  const products = () => page.locator('.product-table .strong').allTextContents();
  const widths = () =>
    page.locator('td:last-child .signed-bar').evaluateAll((bars) => bars.map((bar) => bar.clientWidth));
  await page.getByRole('button', { name: 'g = 1 for every class' }).click();
  await expect.poll(products).toEqual(Array(3).fill(expect.stringMatching(/^0 (exactly|−?\d\.\de−1[678])$/)));
  expect(await widths()).toEqual([0, 0, 0]);
  expect(await page.getByText('drawn on one scale.').count()).toBe(1);
  expect(decodeURIComponent(new URL(page.url()).hash)).toContain('g=0,0,0;1,1,1&row=1');
  await page.getByRole('button', { name: 'g = 1 for class 1' }).click();
  await expect.poll(products).toEqual(['−0.0747', '0.1861', '−0.1114']);
  expect(decodeURIComponent(new URL(page.url()).hash)).toContain('g=0,0,0;0,1,0&row=1');
  // A product that is small is not 0.
  await page.evaluate((hash) => location.assign(hash), '#explore?x=0,-40,40&g=0,1,0');
  await expect.poll(products).toEqual(['−7.7e−53', '1.8e−35', '−1.8e−35']);
  expect(Math.max(...(await widths()))).toBeGreaterThan(20);
  // Here rounding leaves something.
  const logits = '-0.08,-0.95,0.12,-0.7,-0.49,0.44,-0.32';
  await page.evaluate((hash) => location.assign(hash), `#explore?backend=cpu&x=${logits}&g=${Array(7).fill(0.1)}`);
  await expect.poll(products).toEqual(Array(7).fill(expect.stringMatching(/^0 /)));
  expect(await widths()).toEqual(Array(7).fill(0));
  // NaN is not 0.
  await page.evaluate((hash) => location.assign(hash), '#explore?x=-Infinity,-Infinity&g=1,1');
  await expect.poll(products).toEqual(['NaN', 'NaN']);
});

test('with the gradient of a cross-entropy the product is the probabilities minus the target, for any logits', async () => {
  const page = await open('explore?x=0,0,0;1,2,3&g=0,0,0;4,5,6&row=1');
  await explored(page);
  const products = () => page.locator('.product-table .strong').allTextContents();
  const g = (k: string) => page.getByRole('textbox', { name: `upstream gradient ${k}, number` });
  const upstream = () => Promise.all(['g₀', 'g₁', 'g₂'].map((k) => g(k).inputValue()));
  const link = () => decodeURIComponent(new URL(page.url()).hash);
  await page.getByRole('button', { name: 'cross-entropy of class 1' }).click();
  await expect.poll(products).toEqual(['0.0900', '−0.7553', '0.6652']);
  expect(await upstream()).toEqual(['0', '-4.0862', '0']); // −1 / 0.2447
  expect(await page.locator('.product .formula').textContent()).toMatch(/ = s − y$/);
  // g follows the probabilities, and dx / T.
  await page.getByRole('textbox', { name: 'logit x₁, number' }).fill('-1');
  await page.getByRole('textbox', { name: 'temperature, number' }).fill('2');
  await expect.poll(products).toEqual(['0.1224', '−0.4550', '0.3326']);
  expect(await upstream()).toEqual(['0', '-11.107', '0']);
  expect(await page.locator('.product .formula').textContent()).toMatch(/ = \(s − y\) \/ T$/);
  expect(link()).toContain('loss=crossEntropy');
  await openItsLink(page);
  await explored(page);
  await expect.poll(products).toEqual(['0.1224', '−0.4550', '0.3326']);
  // A typed entry of g replaces the loss and keeps the others.
  await g('g₀').fill('1');
  await expect.poll(products).not.toEqual(['0.1224', '−0.4550', '0.3326']);
  expect((await upstream()).slice(1)).toEqual(['-11.107', '0']);
  expect(link()).not.toContain('loss');
  expect(await page.locator('.product .formula').textContent()).not.toContain('s − y');
});

test('the cross-entropy of a class of probability 0 has an infinite gradient, and a finite product', async () => {
  const page = await open('explore?x=-Infinity,1,1&loss=crossEntropy');
  await explored(page);
  const products = () => page.locator('.product-table .strong').allTextContents();
  expect(await products()).toEqual(['−1.000', '0.5000', '0.5000']);
  const field = page.getByRole('textbox', { name: 'upstream gradient g₀, number' });
  expect(await field.inputValue()).toBe('−∞');
  await field.focus();
  expect(await page.locator('.field-problem').count()).toBe(0);
  await page.getByRole('textbox', { name: 'upstream gradient g₁, number' }).fill('1');
  await expect.poll(products).toEqual(['0', '0.2500', '−0.2500']);
});

test('on a projector the logits stay in sight beside the product, whose sliders and bars can be read', async () => {
  const page = await open('explore');
  await page.setViewportSize({ width: 1024, height: 768 });
  await explored(page);
  for (const part of ['.upstream input[type=range]', '.signed-track']) {
    const widths = await page.locator(part).evaluateAll((all) => all.map((one) => one.clientWidth));
    expect(Math.min(...widths), part).toBeGreaterThan(70);
  }
  await page.locator('.product .caption').scrollIntoViewIfNeeded();
  const box = await page.getByRole('slider', { name: 'logit x₀' }).boundingBox();
  expect(box?.y).toBeGreaterThan(0);
  expect(box?.y).toBeLessThan(768);
  // More sliders than fit scroll by themselves.
  await page.evaluate((hash) => location.assign(hash), `#explore?x=${Array(12).fill(1)}`);
  await page.getByText('(1, 12): 1 sample of 12').waitFor();
  await page.evaluate(() => scrollTo(0, 500));
  const controls = await page.locator('.controls').boundingBox();
  expect((controls?.y ?? Number.NaN) + (controls?.height ?? 0)).toBeLessThan(768);
});

test('on a phone, each class of the product has its name, for a screen reader as well', async () => {
  const page = await open('explore?x=1,2');
  await page.setViewportSize({ width: 360, height: 740 });
  await explored(page);
  for (const name of ['class 0', 'class 1']) await page.getByRole('rowheader', { name, exact: true }).waitFor();
});

test('the Jacobian of ten classes fits a phone', async () => {
  const page = await open(`explore?x=${Array.from({ length: 10 }, (_, k) => k % 3)}`);
  await page.setViewportSize({ width: 360, height: 740 });
  await explored(page);
  const hidden = await page.locator('.matrix-scroll').evaluate((box) => box.scrollWidth - box.clientWidth);
  expect(hidden).toBe(0);
});

test('in a heat map without numbers, the number of an entry is reached by keyboard and by touch', async () => {
  const classes = 12;
  const page = await open(`explore?x=${Array.from({ length: classes }, (_, k) => k % 5)}`, {
    hasTouch: true,
    viewport: { width: 360, height: 740 },
  });
  await explored(page);
  const grid = page.getByRole('grid', { name: 'entries' });
  const entry = (i: number, j: number) => grid.locator('.entry').nth(i * classes + j);
  /** The number that is shown of the entry that a tooltip names, and the tooltip's number. */
  const shown = (title: string) => {
    const text = document.querySelector('.chosen-entry')?.textContent?.replaceAll('−', '-') ?? '';
    const [name = '', value] = title.split(' = ');
    const number = text.startsWith(`${name} = `) ? Number.parseFloat(text.slice(name.length + 3)) : Number.NaN;
    return { number, value: Number(value) };
  };
  const check = async (i: number, j: number) => {
    const error = async () => {
      const title = `${await entry(i, j).getAttribute('title')}`;
      const { number, value } = await page.evaluate(shown, title);
      return Math.abs(number / value - 1);
    };
    await expect.poll(error).toBeLessThan(0.05);
    expect(await entry(i, j).getAttribute('aria-selected')).toBe('true');
    expect(await grid.locator('[aria-selected=true]').count()).toBe(1);
    expect(await grid.locator('[tabindex="0"]').count()).toBe(1);
    // For a screen reader.
    expect(await entry(i, j).getAttribute('aria-label')).toBe(await entry(i, j).getAttribute('title'));
  };
  await check(0, 0);
  await entry(3, 4).tap();
  await check(3, 4);
  // One Tab into the table: from the scrolling region that holds it.
  await page.getByRole('region', { name: 'Jacobian with its row sums' }).focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight');
  await check(3, 5);
  await page.keyboard.press('ArrowDown');
  await check(4, 5);
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowLeft');
  await check(2, 4);
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowRight');
  await check(2, 11);
  await page.keyboard.press('Home');
  await check(2, 0);
  // The number follows the logits, and the page does not widen.
  await page.getByRole('textbox', { name: 'logit x₀, number' }).fill('6');
  await check(2, 0);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  const few = await open('explore?x=1,2,3');
  await explored(few);
  expect(await few.getByRole('grid').count()).toBe(0);
});

test('a row that becomes NaN loses its bars, and a probability of 0 has none', async () => {
  const page = await open('explore?x=1,2;0,-Infinity');
  await explored(page);
  const bars = page.locator('.bars .bar');
  expect(await bars.count()).toBe(2);
  await page.getByRole('radio', { name: '1', exact: true }).check();
  await expect.poll(() => bars.count()).toBe(1);
  await page.getByRole('textbox', { name: 'logit x₀, number' }).fill('-inf');
  await expect.poll(() => bars.count()).toBe(0);
  const parts = await page
    .locator('.sample:nth-of-type(2) .stack > span')
    .evaluateAll((spans) => spans.map((span) => span.clientWidth));
  expect(parts).toEqual([0, 0]);
});

test('the picture of a sample has room for the probabilities of all classes', async () => {
  for (const [classes, shares] of [
    [40, 40],
    [41, 21],
  ] as const) {
    // The last class has nearly all.
    const page = await open(`explore?x=${[...Array(classes - 1).fill(0), 9]}`);
    await explored(page);
    const [whole = 0, ...widths] = await page
      .locator('.sample .stack')
      .evaluate((stack) => [stack, ...stack.children].map((node) => node.getBoundingClientRect().width));
    expect(widths).toHaveLength(shares);
    // The layout rounds each width to a 64th of a pixel.
    expect(Math.abs(widths.reduce((sum, width) => sum + width, 0) - whole)).toBeLessThan(1);
    expect(widths.at(-1)).toBeGreaterThan(0.9 * whole);
  }
});

test('a masked logit is shown as such, can be focused without an error, and typed', async () => {
  const page = await open('explore?x=1,-Infinity,2');
  await explored(page);
  const field = page.getByRole('textbox', { name: 'logit x₁, number' });
  expect(await field.inputValue()).toBe('−∞');
  await field.focus();
  await expect.poll(() => field.inputValue()).toBe('-inf');
  expect(await field.getAttribute('aria-invalid')).toBe('false');
  await page.getByRole('textbox', { name: 'logit x₀, number' }).fill('-Infinity');
  await expect.poll(() => page.locator('.bar-value').allTextContents()).toEqual(['0', '0', '1.000', '1.000']);
  // A screen reader says that, and not the end of the slider; of other values, as many digits as the page shows.
  const said = (name: string) => page.getByRole('slider', { name }).getAttribute('aria-valuetext');
  expect(await said('logit x₁')).toBe('−∞');
  await page.getByRole('textbox', { name: 'logit x₂, number' }).fill('0.3516359279582483');
  await expect.poll(() => said('logit x₂')).toBe('0.3516');
  await page.getByRole('textbox', { name: 'upstream gradient g₀, number' }).fill('-0.123456789');
  await expect.poll(() => said('upstream gradient g₀')).toBe('−0.1235');
  // Only logits can be masked.
  await page.getByRole('textbox', { name: 'upstream gradient g₀, number' }).fill('-inf');
  await page.getByText('“-inf” is not a number').waitFor();
});

test('the thumb of a slider stays under the pointer while its value shrinks', async () => {
  const page = await open('explore?x=100,2,3&g=100,0,0');
  await explored(page);
  // The same control shows both.
  for (const name of inject('everything') ? ['logit x₀', 'upstream gradient g₀'] : ['logit x₀']) {
    const slider = page.getByRole('slider', { name });
    // The pointer reaches what the window shows.
    await slider.scrollIntoViewIfNeeded();
    const box = await slider.boundingBox();
    if (box === null) throw new Error('the slider is not visible');
    const [middle, half] = [box.y + box.height / 2, box.width / 2 - 8];
    await page.mouse.move(box.x + half + 8 + half, middle);
    await page.mouse.down();
    for (const share of [0.9, 0.8, 0.7, 0.6, 0.5]) {
      await page.mouse.move(box.x + half + 8 + share * half, middle);
      // The page draws the value, and with it the range of the next step.
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
    }
    await page.mouse.up();
    const [value, most] = await slider.evaluate((input: HTMLInputElement) => [input.valueAsNumber, Number(input.max)]);
    expect(value, name).toBeGreaterThan(45);
    expect(value, name).toBeLessThan(55);
    expect(most, name).toBe(100);
  }
  // A number that is typed sets the range anew.
  await page.getByRole('textbox', { name: 'logit x₀, number' }).fill('4');
  await expect.poll(() => page.getByRole('slider', { name: 'logit x₀' }).getAttribute('max')).toBe('5');
});

test('the Back button undoes a whole drag, and Forward does it again', async () => {
  const page = await openAnew('explore');
  await explored(page);
  const entries = () => page.evaluate(() => history.length);
  const logit = page.getByRole('slider', { name: 'logit x₀' });
  const fieldOf = (name: string) => page.getByRole('textbox', { name: `${name}, number` }).inputValue();
  const drag = async (name: string, to: readonly number[]) => {
    const box = await page.getByRole('slider', { name }).boundingBox();
    if (!box) throw new Error(`no slider ${name}`);
    const place = (share: number) => [box.x + share * box.width, box.y + box.height / 2] as const;
    await page.mouse.move(...place(0.5));
    await page.mouse.down();
    for (const share of to) {
      const before = await page.evaluate(() => location.hash);
      await page.mouse.move(...place(share));
      await expect.poll(() => page.evaluate(() => location.hash)).not.toBe(before);
    }
    await page.mouse.up();
  };
  const atFirst = await entries();
  await drag('logit x₀', [0.6, 0.7, 0.8]);
  // It is one entry even if the pointer rests.
  await drag('temperature', [0.6, 0.7]);
  expect(await entries()).toBe(atFirst + 2);
  const [x, T] = [await fieldOf('logit x₀'), await fieldOf('temperature')];
  expect(Number(T)).toBeGreaterThan(1);
  // A button, twice: each click is a step.
  await page.getByRole('button', { name: 'Add a class' }).click();
  await expect.poll(entries).toBe(atFirst + 3);
  await page.getByRole('button', { name: 'Add a class' }).click();
  await expect.poll(entries).toBe(atFirst + 4);
  await page.goBack();
  await expect.poll(() => page.getByRole('slider', { name: /^logit/ }).count()).toBe(4);
  await page.goBack();
  await expect.poll(() => page.getByRole('slider', { name: /^logit/ }).count()).toBe(3);
  expect(await fieldOf('temperature')).toBe(T);
  await page.goBack();
  await expect.poll(() => fieldOf('temperature')).toBe('1');
  expect(await fieldOf('logit x₀')).toBe(x);
  await page.goBack();
  await expect.poll(() => fieldOf('logit x₀')).toBe('0.33946');
  await page.goForward();
  await expect.poll(() => fieldOf('logit x₀')).toBe(x);

  // Keys that follow one another are one step; a new one replaces what Forward would do.
  await logit.focus();
  for (let k = 0; k < 5; k++) await page.keyboard.press('ArrowRight');
  await expect.poll(() => fieldOf('logit x₀')).not.toBe(x);
  await expect.poll(entries).toBe(atFirst + 2);
  const place = await page.evaluate(() => scrollY);
  await page.goBack();
  await expect.poll(() => fieldOf('logit x₀')).toBe(x);
  expect(await logit.evaluate((slider) => slider === document.activeElement)).toBe(true);
  expect(await page.evaluate(() => scrollY)).toBe(place);

  // A field with the focus shows the number to which Back has returned.
  const field = page.getByRole('textbox', { name: 'temperature, number' });
  await field.fill('3');
  await expect.poll(() => page.url()).toMatch(/t=3$/);
  await page.goBack();
  await expect.poll(() => fieldOf('temperature')).toBe('1');
});

test('a signal too long for a link is undone by Back as a whole, and Forward has it again', async () => {
  const page = await openAnew('explore');
  await explored(page);
  const rows = Array.from({ length: 400 }, (_, k) => [k % 3, k % 5, k % 7, 1.25]);
  await page.getByText('Paste or drop').click();
  await page.getByRole('textbox', { name: 'Signal as NumPy prints it, JSON or CSV' }).fill(JSON.stringify(rows));
  await page.getByText('(400, 4)').first().waitFor();
  const entries = await page.evaluate(() => history.length);
  // A press of the pointer begins a step. Here it does not, because the link lacks the numbers.
  await page.getByRole('textbox', { name: 'temperature, number' }).click();
  await page.getByRole('textbox', { name: 'temperature, number' }).fill('2');
  await expect.poll(() => page.url()).toMatch(/#explore\?x=too-long&t=2$/);
  expect(await page.evaluate(() => history.length)).toBe(entries);
  await page.goBack();
  await page.getByText('(4, 3): 4 samples').waitFor();
  await page.goForward();
  await page.getByText('(400, 4): 400 samples').waitFor();
  expect(await page.getByRole('textbox', { name: 'temperature, number' }).inputValue()).toBe('2');
  expect(await page.locator('.problem').count()).toBe(0);
});

test('an invalid link is an error that names the invalid part, and the rest is shown', async () => {
  const page = await open('explore?x=1,2;3&t=0x1&loss=mse');
  await explored(page);
  const said = await page.getByRole('alert').filter({ hasText: 'The link has' }).textContent();
  expect(said).toContain('x=1,2;3: row 1 has another length (1) than row 0 (2)');
  expect(said).toContain('t=0x1: expected a number from 0.05 to 20');
  expect(said).toContain('loss=mse: expected crossEntropy');
});

test('the error of a link with numbers that are none names the first of them, and quotes a long link in part', async () => {
  const page = await open('explore');
  await explored(page);
  const numbers = Array.from({ length: 100 }, (_, k) => k).join();
  for (const [query, expected] of [
    ['x=1,NaN', 'x=1,NaN: “NaN” is not a finite number, nor -Infinity, which masks a class'],
    ['x=Infinity,1', '“Infinity” is not a finite number'],
    ['x=1,,2', '“” is not a finite number'],
    // Only logits can be masked.
    ['x=1,2&g=-Infinity,0', 'g=-Infinity,0: “-Infinity” is not a finite number.'],
    ['x=1,2&g=1,2,3', 'g=1,2,3: expected the shape of x, (1, 2)'],
    [`x=${numbers};1`, `x=${numbers.slice(0, 40)}…: row 1 has another length (1) than row 0 (100)`],
  ]) {
    await page.evaluate((hash) => location.assign(hash), `#explore?${query}`);
    await page.getByRole('alert').filter({ hasText: expected }).waitFor();
    await expect.poll(() => page.locator('.bar-value').last().textContent()).toBe('1.000');
  }
});

test('an error of the link is in sight at once, on a phone as well', async () => {
  const page = await open('explore?x=1,2;3');
  await explored(page);
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 740 });
    const error = await page.getByRole('alert').filter({ hasText: 'The link has' }).boundingBox();
    expect(error && error.y + error.height, `${width} px`).toBeLessThan(740);
  }
});

test('what is said about the probabilities is true of masked, tiny and single classes', async () => {
  const page = await open('explore');
  await explored(page);
  for (const [query, expected] of [
    ['x=1,2', 'Positive, and they sum to 1 for any logits. If one logit grows'],
    ['x=1,-Infinity,2', 'one that is masked out (−∞) has 0. If one logit grows'],
    ['x=1000,1000,0', 'one that is shown as 0 is too small for float64. If one logit grows'],
    ['x=100,0', 'Nearly one-hot'],
    ['x=1,-Infinity,-Infinity', 'All classes but one are masked out (−∞): its probability is 1 whatever its logit is'],
    ['x=7', 'There is one class: its probability is 1 whatever its logit is'],
  ]) {
    await page.evaluate((hash) => location.assign(hash), `#explore?${query}`);
    await page.getByText(expected ?? '').waitFor();
  }
});

test('a link that names a backend which cannot run here is computed on another one, with the reason', async () => {
  const page = await open('explore?x=0,0&backend=webgpu', { without: 'gpu' });
  await explored(page);
  await page.getByText(/^webgpu: .*WebGPU.*\. Computed on wasm instead\.$/).waitFor();
  expect(await page.locator('.bar-value').allTextContents()).toEqual(['0.5000', '0.5000', '1.000']);
  await page.locator('.engine summary').click();
  expect(await page.locator('[data-backend=wasm]').getByRole('radio').isChecked()).toBe(true);
  await page.locator('[data-backend=cpu]').getByRole('radio').check();
  await expect.poll(() => page.locator('.engine-name').textContent()).toBe('cpu');
  expect(await page.locator('.problem').count()).toBe(0);

  const unknown = await open('explore?backend=cuda');
  await explored(unknown);
  await unknown
    .getByText("no backend is named 'cuda': known are cpu, wasm, webgpu, gpujs, tfjs. Computed on")
    .waitFor();
});

test('every backend computes the same', async () => {
  const page = await open('explore');
  await explored(page);
  await page.locator('.engine summary').click();
  const found = await availableBackends(page);
  expect(found).toEqual(new Map(Object.keys(backends).map((name) => [name, true])));
  for (const name of found.keys()) {
    await page.locator(`[data-backend=${name}]`).getByRole('radio').check();
    await expect.poll(() => page.locator('.engine-name').textContent()).toMatch(new RegExp(`^${name}\\b`));
    expect(await page.locator('.engine-device').textContent()).toMatch(/\S, float(32|64)$/);
    const dx = numbers(await page.locator('.product-table .strong').allTextContents());
    for (const [k, expected] of [0.2229, -0.1091, -0.1138].entries()) expect(dx[k]).toBeCloseTo(expected, 3);
    for (const text of await page.locator('.matrix .sum').allTextContents()) expect(text).toMatch(/^0 /);
  }
});
