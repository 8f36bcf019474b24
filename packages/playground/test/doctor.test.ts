import { expect, test } from 'vitest';
import { openItsLink, usePlayground } from './playground.js';

const { open, openAnew } = usePlayground();

test('every example is answered in three parts', async () => {
  const page = await open('doctor');
  const answers = {
    'J.sum(axis=1)': 'summed Jacobian rows',
    'a loop over np.roll': 'summed Jacobian rows',
    's * (1 - s)': 'diagonal only',
    'J @ (s - y)': 'multiplied by the Jacobian again',
    'the right one': 'right',
    saturated: 'saturated softmax',
    'by its code alone': 'summed Jacobian rows',
  };
  const buttons = page.getByRole('group', { name: 'Examples' }).getByRole('button');
  await expect.poll(() => buttons.allTextContents()).toEqual(Object.keys(answers));
  for (const [example, verdict] of Object.entries(answers)) {
    await page.getByRole('button', { name: example, exact: true }).click();
    await expect.poll(() => page.locator('.verdict-tag').textContent()).toContain(verdict);
    for (const part of ['What your numbers are', 'Why']) await page.getByRole('heading', { name: part }).waitFor();
    expect(await page.locator('.remedy').textContent()).toContain('NumPy');
  }
  // Indices are subscripts, and names of code are not.
  await page.getByRole('button', { name: 'J.sum(axis=1)', exact: true }).click();
  await expect.poll(() => page.locator('.notes sub').allTextContents()).toEqual(['j', 'ij']);
  await page.getByRole('textbox', { name: 'gradient' }).fill('[[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]');
  await page.getByText('np.zeros_like').waitFor();
});

test('code that is not in the list is run, also if it does not start with a name', async () => {
  const page = await open('doctor');
  const gradient = page.getByRole('textbox', { name: 'gradient' });
  const answers = {
    'dA = -Y / A\nfor i in range(len(A)):\n    dA[i] = dA[i] * A[i] * (1 - A[i])\nreturn dA': 'diagonal only',
    '-y / s * 1': 'passed on without the Jacobian',
    '1 - np.power(s, 2)': "tanh's derivative",
    '(1 / m) * (A - Y)': 'right',
  };
  for (const [code, verdict] of Object.entries(answers)) {
    await gradient.fill(code);
    await expect.poll(() => page.locator('.verdict-tag').textContent()).toBe(verdict);
    await page.getByText('made-up numbers').waitFor();
  }
  await gradient.fill('-inf, 1');
  await expect.poll(() => page.locator('.verdict-tag').count()).toBe(0);
});

test('an example shows its answer on a phone, where it is below the fields', async () => {
  const page = await open('doctor');
  await page.setViewportSize({ width: 360, height: 740 });
  await page.getByRole('button', { name: 'saturated', exact: true }).click();
  await expect.poll(() => page.locator('.verdict-tag').textContent()).toBe('saturated softmax');
  await expect.poll(async () => (await page.locator('.verdict-tag').boundingBox())?.y).toBeLessThan(200);
});

test('the answer is announced: it comes into a live region that is there before', async () => {
  const page = await open('doctor');
  const region = await page.locator('.answer [aria-live=polite]').elementHandle();
  await page.getByRole('button', { name: 'saturated', exact: true }).click();
  await expect.poll(() => region?.textContent()).toContain('saturated softmax');
  await page.getByRole('textbox', { name: 'gradient' }).fill('[[');
  await expect.poll(() => region?.textContent()).toContain('has an error');
});

test('the heading of the code says what it is for', async () => {
  const page = await open('doctor');
  await page.getByRole('textbox', { name: 'logits' }).fill('[[1, 2, 3]]');
  await page.getByRole('textbox', { name: 'target' }).fill('[2]');
  const headings = {
    '[[0.2, -0.3, 0.7]]': 'To compare with: how the right ones are computed',
    '[[0, 0, 0]]': 'What is right in any case',
    '[[0.09003057, 0.24472847, -0.33475904]]': 'Nothing to change; the same in one line',
  };
  for (const [gradient, heading] of Object.entries(headings)) {
    await page.getByRole('textbox', { name: 'gradient' }).fill(gradient);
    await expect.poll(() => page.locator('.diagnosis h2').last().textContent()).toBe(heading);
  }
});

test('pasted numbers are diagnosed, and the link contains them', async () => {
  const page = await open('doctor');
  await page.getByRole('radio', { name: 'output, the probabilities' }).check();
  await page.getByRole('textbox', { name: 'probabilities' }).fill('0.2,0.3,0.5\n');
  await page.getByRole('textbox', { name: 'gradient' }).fill('[[0, 2.8e-17, -2.8e-17]]');
  await page.getByText('softmax.vjp(s, g)').waitFor();
  await openItsLink(page);
  await page.getByText('softmax.vjp(s, g)').waitFor();
});

test('the layer and the options of the loss affect the diagnosis, and the link contains them', async () => {
  const page = await open('doctor');
  const verdict = page.locator('.verdict-tag');
  await page.getByRole('textbox', { name: 'logits' }).fill('[[1, 2, 3], [0, 0, 1]]');
  await page.getByRole('textbox', { name: 'target' }).fill('[2, -100]');
  const gradient = page.getByRole('textbox', { name: 'gradient' });
  await gradient.fill('[[0.09003057317, 0.244728471055, -0.334759044225], [0, 0, 0]]');
  await expect.poll(() => verdict.textContent()).toBe('right');
  await page.getByRole('textbox', { name: 'target' }).fill('[2, 0]');
  await page.getByLabel('layer').selectOption('sigmoid');
  await gradient.fill('[[0.731058578630, 0.880797077978, -0.047425873178], [-0.5, 0.5, 0.731058578630]]');
  await expect.poll(() => verdict.textContent()).toBe('right');
  await page.getByLabel('layer').selectOption('cross-entropy');
  await expect.poll(() => verdict.textContent()).toContain('sigmoid');
  await page.getByText('Mask, weights, smoothing').click();
  await page.getByLabel('label smoothing').fill('0.3');
  await page.getByLabel('label smoothing').blur();
  await gradient.fill('[[-0.00996942683, 0.144728471055, -0.134759044225], [-0.588058442, 0.111941558, 0.476116884]]');
  await expect.poll(() => verdict.textContent()).toBe('right');
  await openItsLink(page);
  await expect.poll(() => verdict.textContent()).toBe('right');
  expect(await page.getByLabel('label smoothing').inputValue()).toBe('0.3');
});

test('a temperature that is not known is found in the numbers, and the link contains one that is given', async () => {
  const page = await open('doctor');
  const verdict = page.locator('.verdict-tag');
  await page.getByRole('textbox', { name: 'logits' }).fill('[[1, 2, 3], [0, 0, 1], [2, 0, 1]]');
  await page.getByRole('textbox', { name: 'target' }).fill('[2, 0, 1]');
  await page
    .getByRole('textbox', { name: 'gradient' })
    .fill(
      '[[0.031053953871, 0.051199314286, -0.082253268157], [-0.12098856349, 0.045678103177, 0.075310460313], [0.084413398509, -0.135612712796, 0.051199314286]]',
    );
  await expect.poll(() => verdict.textContent()).toBe('right');
  await page.getByLabel('temperature').fill('1');
  await page.getByLabel('temperature').blur();
  await expect.poll(() => verdict.textContent()).not.toBe('right');
  await openItsLink(page);
  expect(await page.getByLabel('temperature').inputValue()).toBe('1');
});

test('printed NumPy arrays are diagnosed, and an abbreviated array is an error', async () => {
  const page = await open('doctor');
  await page.getByRole('textbox', { name: 'logits' }).fill('array([[0.2, 0.3, 0.5],\n       [1. , 2. , 3. ]])');
  const gradient = page.getByRole('textbox', { name: 'gradient' });
  await gradient.fill('[[ 0.00000000e+00 -1.38777878e-17  2.77555756e-17]\n [ 0.00000000e+00  0.  1.38777878e-17]]');
  await expect.poll(() => page.locator('.verdict-tag').textContent()).toContain('summed Jacobian rows');
  await gradient.fill('tensor([[0., -1.38777878e-17, 2.77555756e-17],\n        [0., 0., 1.38777878e-17]])');
  await expect.poll(() => page.locator('.verdict-tag').textContent()).toContain('summed Jacobian rows');
  expect(await page.locator('.problem').count()).toBe(0);
  await gradient.fill('[[0. 0. 0.]\n ...\n [0. 0. 0.]]');
  await expect.poll(() => page.locator('#field-gradient-problem').textContent()).toContain('np.set_printoptions');
});

test('an invalid input is an error next to its field', async () => {
  const page = await open('doctor');
  const logits = page.getByRole('textbox', { name: 'logits' });
  await logits.fill('[[1, 2, 3]]');
  await page.getByRole('textbox', { name: 'gradient' }).fill('[[0, 0]]');
  await page.locator('#field-gradient-problem .problem').waitFor();
  await page.getByRole('textbox', { name: 'gradient' }).fill('J.summ(axis=1)');
  await expect.poll(() => page.locator('#field-gradient-problem').textContent()).toContain('`J.sum(axis=1)`');
  await page.getByRole('textbox', { name: 'gradient' }).fill('[[0, 0, 0]]');
  await logits.fill('[[1, 2, oops]]');
  await expect.poll(() => page.locator('#field-logits-problem').textContent()).toContain('line 1, column 9');
});

test('the place of the answer says what is missing for it', async () => {
  const page = await open('doctor');
  const answer = page.locator('.answer .quiet');
  const logits = page.getByRole('textbox', { name: 'logits' });
  const gradient = page.getByRole('textbox', { name: 'gradient' });
  await page.getByText('The answer comes here as soon as there is a gradient').waitFor();
  await logits.fill('[[1, 2, 3]]');
  await expect
    .poll(() => answer.textContent())
    .toBe('The logits are there. The answer comes with the gradient: its numbers, or its code.');
  await gradient.fill('s * s');
  await expect
    .poll(() => answer.textContent())
    .toBe('No answer: the field “gradient” has an error, which is below it.');
  // The page has the list that the command line would print.
  await page.getByText(/unknown expression `s \* s`.*the list “code instead of numbers” has the known ones/).waitFor();
  await logits.fill('');
  await gradient.fill('[[1, 2, 3]]');
  await expect
    .poll(() => answer.textContent())
    .toBe('The gradient is there. As numbers it needs the logits or the probabilities, too.');
  await logits.fill('[[1, 2, nan]]');
  await expect.poll(() => answer.textContent()).toBe('No answer: the field “logits” has an error, which is below it.');
});

test('no text of the settings is cut, and the answer stays in sight beside them', async () => {
  const page = await open('doctor');
  await page.getByRole('button', { name: 'J.sum(axis=1)' }).click();
  await page.locator('.remedy').waitFor();
  for (const width of [360, 390, 1024, 1280]) {
    await page.setViewportSize({ width, height: 768 });
    const cut = await page.locator('.settings select').evaluateAll((all: HTMLSelectElement[]) =>
      all.map((select) => {
        // As wide as its longest text.
        const whole = select.cloneNode(true) as HTMLSelectElement;
        whole.style.width = 'max-content';
        select.after(whole);
        const needed = whole.offsetWidth;
        whole.remove();
        return needed - select.offsetWidth;
      }),
    );
    expect(Math.max(...cut), `${width} px`).toBeLessThanOrEqual(0);
  }
  await page.getByRole('combobox', { name: 'reduction of the loss' }).scrollIntoViewIfNeeded();
  const tag = await page.locator('.verdict-tag').boundingBox();
  expect(tag?.y).toBeGreaterThan(0);
});

test('arrays too long for a link are there when the panel is opened again, and a link to them says which it lacks', async () => {
  const page = await open('doctor');
  const rows = JSON.stringify(Array.from({ length: 300 }, (_, k) => [k % 7, 0.25, 0.125, -1]));
  await page.getByRole('textbox', { name: 'logits' }).fill(rows);
  await page.getByText('Too long for a link: share the file instead.').waitFor();
  await page.getByRole('textbox', { name: 'gradient' }).fill('J.sum(axis=1)');
  const verdict = page.locator('.verdict-tag');
  await expect.poll(() => verdict.textContent()).toBe('summed Jacobian rows');
  const link = new URL(page.url()).hash.slice(1);
  expect(link).toBe('doctor?signal=too-long&gradient=too-long');
  await openItsLink(page);
  await expect.poll(() => page.getByRole('textbox', { name: 'logits' }).inputValue()).toBe(rows);
  await expect.poll(() => verdict.textContent()).toBe('summed Jacobian rows');

  const elsewhere = await openAnew(link);
  await expect.poll(() => elsewhere.getByText('too long for the link: open its file, or paste it').count()).toBe(2);
  expect(await elsewhere.locator('.verdict-tag').count()).toBe(0);
});

test('a value of the link that is none is an error next to its field, and without an answer until it is replaced', async () => {
  const numbers = 'signal=[[1,2,3]]&gradient=[[0,0,0]]';
  const page = await open(`doctor?${numbers}&axis=&temperature=-2&labelSmoothing=2&ignoreIndex=0x10&layer=sofmax`);
  const refused = (text: string) => page.getByRole('alert').filter({ hasText: text });
  for (const text of [
    'axis: the link has “”; expected an integer from -8 to 8',
    'temperature: the link has “-2”; expected a number of 1e-9 or more',
    'label smoothing: the link has “2”; expected a number from 0 to 1',
    'ignored class index: the link has “0x10”; expected an integer',
    'the link has “sofmax”; expected one of softmax, log-softmax',
  ])
    await refused(text).waitFor();
  const field = (name: string) => page.getByRole('textbox', { name, exact: true });
  expect(await field('axis').inputValue()).toBe('-1');
  expect(await page.locator('.answer').textContent()).toContain('No answer: a file or a value of the link');
  await page.getByLabel('layer').selectOption('softmax');
  for (const [name, value] of [
    ['label smoothing', ''],
    ['ignored class index', '-100'],
    ['temperature', '2'],
    ['axis', '1'],
  ] as const) {
    // A number in another notation than on the command line, or not of the range, is refused as well.
    await field(name).fill('0x10');
    await refused(`${name}: “0x10” is not a number`).waitFor();
    await field(name).fill(value);
  }
  await page.locator('.verdict-tag').waitFor();
  expect(await page.getByRole('alert').filter({ hasText: /./ }).count()).toBe(0);
  await field('axis').fill('0.5');
  await refused('axis: expected an integer').waitFor();
  await field('label smoothing').fill('1.5');
  await refused('label smoothing: expected 1 or less').waitFor();
});

test('a refused file removes the old numbers and the old answer, and the error says what to do instead', async () => {
  const page = await open('doctor');
  const verdict = page.locator('.verdict-tag');
  const logits = page.getByRole('textbox', { name: 'logits' });
  const load = (name: string, text: string) =>
    page
      .locator('.array-field input[type=file]')
      .first()
      .setInputFiles({ name, mimeType: 'text/csv', buffer: Buffer.from(text) });
  await page.getByRole('button', { name: 'J.sum(axis=1)' }).click();
  await verdict.waitFor();
  await load('large.csv', '1,2,3,4\n'.repeat(5001));
  await page.getByText('large.csv: 20004 numbers; the page accepts up to 20000').waitFor();
  const said = await page.locator('#field-logits-problem').textContent();
  expect(said).toContain('its first 5000 rows');
  expect(said).toContain('`softgrad doctor` on the command line');
  expect(await verdict.count()).toBe(0);
  expect(await logits.inputValue()).toBe('');
  expect(await page.locator('.answer').textContent()).toContain('No answer');

  await page.getByRole('button', { name: 'the right one' }).click();
  await expect.poll(() => verdict.textContent()).toBe('right');
  expect(await page.locator('.problem').count()).toBe(0);
  await load('index.csv', ',a,b\n0,1.0,2.0\n1,3,4\n');
  await page.getByText('index=False').waitFor();
  expect(await verdict.count()).toBe(0);
  await logits.fill('[[1, 2, 3]]');
  expect(await page.getByText('index=False').count()).toBe(0);
});
