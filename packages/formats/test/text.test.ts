import { isSoftgradError } from '@softgrad/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { detectDelimiter, isPrinted, parseText } from '../src/index.js';

const parse = (text: string) => parseText(Buffer.from(text), 'pasted', 1e9);
const matrix = { shape: [2, 3], data: Float64Array.of(0, -1.38777878e-17, 2.77555756e-17, 1, 2.5, -3) };

describe('printed arrays are read', () => {
  test.each([
    ['by NumPy', '[[ 0.00000000e+00 -1.38777878e-17  2.77555756e-17]\n [ 1.00000000e+00  2.50000000e+00 -3.]]\n'],
    ['by its repr', 'array([[ 0.00000000e+00, -1.38777878e-17,  2.77555756e-17],\n       [ 1. ,  2.5, -3. ]])'],
    ['with its dtype', 'array([[0., -1.38777878e-17, 2.77555756e-17],\n [1., 2.5, -3.]], dtype=float32)'],
    ['with a module', 'np.array([[0., -1.38777878e-17, 2.77555756e-17], [1., 2.5, -3.]], dtype=np.float32)'],
    ['by IPython', 'Out[3]: \narray([[0., -1.38777878e-17, 2.77555756e-17],\n [1., 2.5, -3.]])'],
    ['by PyTorch', 'tensor([[0., -1.38777878e-17, 2.77555756e-17],\n        [1., 2.5, -3.]])'],
    [
      'by PyTorch, with everything that it adds',
      "tensor([[0., -1.38777878e-17, 2.77555756e-17], [1., 2.5, -3.]], device='cuda:0', dtype=torch.float64, grad_fn=<SoftmaxBackward0>)",
    ],
    ['by TensorFlow', 'tf.Tensor(\n[[0. -1.38777878e-17 2.77555756e-17]\n [1. 2.5 -3.]], shape=(2, 3), dtype=float64)'],
    ['as a list of rows', '[array([0., -1.38777878e-17, 2.77555756e-17]), array([1., 2.5, -3.])]'],
    ['as a list of scalars', '[[np.float64(0.0), -1.38777878e-17, np.float64(2.77555756e-17)], [1, 2.5, -3]]'],
    ['with blanks alone', '  0 -1.38777878e-17  2.77555756e-17\n  1  2.5 -3\n'],
    ['as np.savetxt writes it', '# a b c\n0.0e+00 -1.38777878e-17 2.77555756e-17\n1.0e+00 2.5e+00 -3.0e+00\n'],
    ['with tabs and Windows ends of lines', 'a\tb\tc\r\n0\t-1.38777878e-17\t2.77555756e-17\r\n1\t2.5\t-3\r\n'],
    ['with semicolons', 'a;b;c\n0;-1.38777878e-17;2.77555756e-17\n1;2.5;-3'],
    ['with quotes', '"a","b","c"\n0,-1.38777878e-17,"2.77555756e-17"\n1,2.5,-3'],
    ['as JSON', '[[0, -1.38777878e-17, 2.77555756e-17], [1, 2.5, -3]]'],
    ['by Node', '[\n  Float32Array(3) [ 0, -1.38777878e-17, 2.77555756e-17 ],\n  Float32Array(3) [ 1, 2.5, -3 ]\n]\n'],
    ['by an older Node', '[ Float64Array [ 0, -1.38777878e-17, 2.77555756e-17 ],\n  Float64Array [ 1, 2.5, -3 ] ]'],
    [
      'by a browser',
      '(2) [Array(3), Array(3)]'.replace(
        /Array.*Array\(3\)/,
        '(3) [0, -1.38777878e-17, 2.77555756e-17], Array(3) [1, 2.5, -3]',
      ),
    ],
    [
      'by TensorFlow.js',
      'Tensor\n    [[0, -1.38777878e-17, 2.77555756e-17],\n     [1, 2.5            , -3            ]]\n',
    ],
    [
      'by TensorFlow.js, with everything that it adds',
      'Tensor\n  dtype: float32\n  rank: 2\n  shape: [2,3]\n  values:\n    [[0, -1.38777878e-17, 2.77555756e-17],\n     [1, 2.5, -3]]',
    ],
    ['by softgrad', 'Tensor (2, 3) float64 on cpu [[0, -1.38777878e-17, 2.77555756e-17], [1, 2.5, -3]]'],
    [
      'in Python code',
      'import numpy as np\n\nself.x = np.asarray([[0, -1.38777878e-17, 2.77555756e-17],\n [1, 2.5, -3]], np.float32)  # logits\n',
    ],
    ['with a dtype in quotes', "x = np.array([[0., -1.38777878e-17, 2.77555756e-17], [1., 2.5, -3.]], 'float32')"],
    [
      'in JavaScript code',
      'export const x: number[][] = [[0, -1.38777878e-17, 2.77555756e-17], [1, 2.5, -3]]; // logits',
    ],
    [
      'in code of typed rows',
      'let $x_1=[new Float64Array([0, -1.38777878e-17, 2.77555756e-17]), new Float64Array([1, 2.5, -3])];\n',
    ],
    ['in code of TensorFlow.js', 'x = tf.tensor2d([[0, -1.38777878e-17, 2.77555756e-17], [1, 2.5, -3]], [2, 3]);'],
    ['in a log', 'logits: tensor([[0., -1.38777878e-17, 2.77555756e-17],\n        [1., 2.5, -3.]])'],
    ['as a member of an object', '"x" : [[0, -1.38777878e-17, 2.77555756e-17], [1, 2.5, -3]],'],
    ['with the delimiter that Excel is told', 'sep=;\n0;-1.38777878e-17;2.77555756e-17\n1;2.5;-3'],
  ])('%s', async (_, text) => {
    expect(await parse(text)).toEqual(matrix);
  });

  test('with any number of dimensions', async () => {
    expect(await parse('[1. nan -inf]')).toEqual({ shape: [3], data: Float64Array.of(1, Number.NaN, -Infinity) });
    expect(await parse('[[[1 2]]\n\n [[3 4]]]')).toEqual({ shape: [2, 1, 2], data: Float64Array.of(1, 2, 3, 4) });
    expect(await parse('tensor([], size=(0, 3))')).toEqual({ shape: [0, 3], data: new Float64Array(0) });
    for (const scalar of [
      'tensor(0.5)',
      '<tf.Tensor: shape=(), dtype=float32, numpy=0.5>',
      'Tensor\n    0.5\n',
      'Tensor () float32 on cpu 0.5',
    ]) {
      expect(await parse(scalar), scalar).toEqual({ shape: [], data: Float64Array.of(0.5) });
    }
    for (const vector of [
      'Float32Array(2) [ 1, 2 ]',
      'Float32Array [\n  1,\n  2\n]',
      '(2) [1, 2]',
      'Tensor\n    [1, 2]',
    ]) {
      expect(await parse(vector), vector).toEqual({ shape: [2], data: Float64Array.of(1, 2) });
    }
    expect((await parse('Float64Array(0) []')).shape).toEqual([0]);
    expect((await parse('array([], dtype=float64)')).shape).toEqual([0]);
    expect(await parse('[[[[0.5]]]]\n')).toEqual({ shape: [1, 1, 1, 1], data: Float64Array.of(0.5) });
    expect(await parse(`${'['.repeat(64)}1.${']'.repeat(64)}`)).toMatchObject({ data: Float64Array.of(1) });
    expect((await parse('[[] []]')).shape).toEqual([2, 0]);
  });
});

const abbreviated = /abbreviated \("\.\.\."\).*np\.set_printoptions\(threshold=np\.inf\)/;

describe('abbreviated, ragged and invalid arrays are errors that say where and why', () => {
  test.each([
    ['[0.1 0.2 ... 0.8 0.9]', abbreviated],
    ['[[1. 2.]\n [3. 4.]\n ...\n [7. 8.]]', /^pasted: line 3, column 2: abbreviated/],
    ['tensor([[1., 2.,  ..., 3., 4.]])', abbreviated],
    ['[[1, 2], ..., [3, 4]]', abbreviated],
    [
      'Float32Array(120) [\n  0, 1, 2,\n  ... 117 more items\n]',
      /line 3, column 3: abbreviated .* or in JavaScript with JSON\.stri/,
    ],
    ['Tensor\n    [0, 1, 2, ..., 997, 998, 999]', abbreviated],
    [
      '"1,234","2,345"',
      /^pasted: line 1, column 1 is "1,234"; expected no thousands separator, as in 1234, or a decimal/,
    ],
    ['1,"2;3', /^pasted: line 1, column 2 is "\\"2;3"; expected a number$/],
    ['1,x"2,3"', /^pasted: line 1, column 2 is "x\\"2,3\\""; expected a number$/],
    ['1,2\n"3,4",', /^pasted: line 2, column 1 is "3,4"; expected a decimal point, as in 3\.4$/],
    ['1,2\n3,', /^pasted: line 2, column 2 is empty/],
    [',2\n3,4', /^pasted: line 1, column 1 is empty/],
    ['1 2 ... 8 9\n1 2 ... 8 9', /^pasted: line 1: abbreviated/],
    ['1 2\n...\n8 9', /^pasted: line 2: abbreviated/],
    ['[[1 2 3]\n [4 5]]', /^pasted: line 2, column 2: ragged: a list of 2 entries; expected 3, as in the first$/],
    ['[[1 2]\n 3]', /^pasted: line 2, column 2: the number "3" among lists/],
    ['[1 [2]]', /^pasted: line 1, column 4: a list among numbers/],
    ['1 2 3\n4 5', /^pasted: line 2 has 2 cells; expected 3, as in line 1$/],
    ['[[1 2 3]\n [4 5 6]', /^pasted: line 1, column 1: "\[" is never closed/],
    ['array([1, 2]', /^pasted: line 1, column 1: "\(" is never closed/],
    ['[1 2]]', /^pasted: line 1, column 6: unexpected "\]"/],
    ['[1 2])', /^pasted: line 1, column 6: unexpected "\)"/],
    ['[1,, 2 3]', /^pasted: line 1, column 4: unexpected ","/],
    [
      '[1 2]\n[3 4]',
      /^pasted: line 2, column 1: text after the end of the array; expected one array; remove "\[3 4\]"$/,
    ],
    ['[[1 two]]', /^pasted: line 1, column 5: "two" is not a number/],
    ['[1 2] dtype=float32', /column 7: text after the end of the array; .* remove "dtype=float32"$/],
    ['[1 2] 3', /^pasted: line 1, column 7: text after the end of the array; expected one array; remove "3"$/],
    ['tensor(1.) 2', /^pasted: line 1, column 12: text after the end of the array/],
    ['x = [1]; y = [2];\n', /^pasted: line 1, column 8: text after the end of the array; .* remove "; y = \[2\];"$/],
    ['x = np.array([1], nan)', /column 19: text after the end of the array; .* remove "nan\)"$/],
    ['x = np.array([1]), float', /column 20: text after the end of the array; .* remove "float"$/],
    ['tf.tensor([1, 2], [2, 1])', /^pasted: line 1, column 19: the text states shape \(2, 1\), but its numbers have/],
    ['x = [[1, 2], // first row\n[3, 4]]', /^pasted: line 1, column 14: a comment; remove "\/\/ first row"$/],
    [
      'x = [1 2; 3 4]',
      /^pasted: line 1, column 8: "2;" is not a number; expected each row in brackets, as in \[\[1, 2\]/,
    ],
    [
      "Tensor {\n  kept: false,\n  shape: [ 2 ],\n  dtype: 'float32'\n}",
      /^pasted: a tensor of TensorFlow\.js without its numbers; expected .*print/,
    ],
    ['Promise { <pending> }', /^pasted: a promise without its numbers; expected what is printed after await$/],
    ['x <- c(1, 2)', /^pasted: line 1, column 1 is "x <- c\(1"; expected a number without "x <- c\(", as in 1$/],
    ['const x = new Float32Array(3)', /^pasted: no row of numbers/],
    [`${'x '.repeat(50_000)}`, /^pasted: no row of numbers/],
    [`x${' '.repeat(200_000)}`, /^pasted: no row of numbers/],
    [`x: ${' number'.repeat(50_000)}`, /^pasted: no row of numbers/],
    ['[1.]]', /^pasted: line 1, column 5: unexpected "\]"; expected numbers, and brackets in pairs$/],
    ['array(,1)', /^pasted: line 1, column 7: unexpected ","/],
    ['[,1. 2]', /^pasted: line 1, column 2: unexpected ","/],
    ['[1. 2]\n,,', /^pasted: line 2, column 2: unexpected ","/],
    ['[[1., 2],, [3, 4]]', /^pasted: line 1, column 10: unexpected ","/],
    ['[[,1. 2]]', /^pasted: line 1, column 3: unexpected ","/],
    ['[1.,[2]]', /^pasted: line 1, column 5: a list among numbers; expected rows of one length$/],
    ['[[1. 2]\n [[3 4]]]', /^pasted: line 2, column 3: a list among numbers/],
    ['[[[1.]]\n [2]]', /^pasted: line 2, column 3: the number "2" among lists; expected rows of one length$/],
    ['[[1. 2]\n [3]]', /^pasted: line 2, column 2: ragged: a list of 1 entry; expected 2, as in the first$/],
    ['[[[1. 2]]\n [[3 4] [5 6]]]', /^pasted: line 2, column 2: ragged: a list of 2 entries; expected 1,/],
    [
      'array([array([1.]), array([2.])], dtype=f',
      /^pasted: line 1, column 1: "\(" is never closed; expected brackets in pairs$/,
    ],
    ['array([1., 2)', /^pasted: line 1, column 7: "\[" is never closed/],
    ['array()', /^pasted: line 1, column 8: no array; expected numbers in brackets$/],
    ['[1. = 2]', /^pasted: line 1, column 5: "=" is not a number$/],
    ['[1. a=(]', /^pasted: line 1, column 5: "a=\(" is not a number/],
    ['[1. dtype=float32 ]', /^pasted: line 1, column 5: "dtype=float32" is not a number/],
    ['Float32Array(4) [ 1, 2, 3 ]', /^pasted: line 1, column 17: the text states 4 entries, but the list has 3; /],
    ['Float32Array(3) [ 1, 2, 3, 4 ]', /states 3 entries, but the list has 4; expected all of what was printed$/],
    ['(2) [ Array(1) [ 1 ], Array(1) [ 2, 3 ] ]', /^pasted: line 1, column 32: the text states 1 entry, but the list/],
    ['Array(3) [ Float32Array(1) [ 1 ] ]', /states 3 entries, but the list has 1; /],
    [
      'tensor([1, 2],\n size=(3,))',
      /^pasted: line 2, column 2: the text states shape \(3,\), but its numbers have \(2,\); /,
    ],
    ['tf.Tensor([1. 2.], shape=(1, 2), dtype=float32)', /states shape \(1, 2\), but its numbers have \(2,\)/],
    ['<tf.Tensor: shape=(3,), dtype=float32, numpy=array([1.])>', /states shape \(3,\), but its numbers have \(1,\)/],
    ['Tensor\n dtype: float32\n rank: 1\n shape: [4]\n values:\n [1, 2]', /shape \(4,\), but its numbers have \(2,\)/],
    ['Tensor (2, 2) float64 on cpu [[1, 2]]', /states shape \(2, 2\), but its numbers have \(1, 2\)/],
    ['tensor([], size=(2, 3))', /states shape \(2, 3\), but its numbers have \(0,\)/],
    [`${'['.repeat(65)}1.`, /^pasted: line 1, column 65: lists nested more than 64 deep$/],
    ['1,{2', /^pasted: line 1, column 2 is "\{2"; expected a number without "\{", as in 2$/],
    ['2,-"1"', /^pasted: line 1, column 2 is "-\\"1\\""; expected a number$/],
    ['2,"1"5', /^pasted: line 1, column 2 is "\\"1\\"5"; expected a number$/],
    ['1 two 3', /^pasted: line 1, column 2 is "two"; expected a number$/],
    ['some words', /^pasted: no row of numbers; expected nested lists \(JSON\), an array as NumPy prints it/],
    ['', /^pasted: no row of numbers/],
    ['[', /never closed/],
    [`${'['.repeat(1000)}`, /nested more than 64 deep/],
    ['{"a": [1], "b": 2}', /^pasted: an object of 2 \("a", "b"\); choose one, as in FILE\.json:a$/],
  ])('%.40j', async (text, message) => {
    const error = await parse(text).catch((caught: unknown) => caught);
    if (!isSoftgradError(error)) throw error;
    expect(error.message).toMatch(message);
    const ofShape = /ragged|among|deep$|cells;|states/.test(error.message);
    expect(error.code).toBe(ofShape ? 'ERR_SHAPE' : 'ERR_VALUE');
  });
});

test('code is not mistaken for a printed array', () => {
  for (const text of [
    'J.sum(axis=1)',
    'dx = s * (1 - s)',
    'dx == [1]',
    'x = new Float32Array(3)',
    's * (1 - s)',
    'np.diag(s)',
    'tensor.sum()',
    'array(s)',
    'f([1])',
    '',
    '1 2',
    '>>>',
  ])
    expect(isPrinted(text), text).toBe(false);
  for (const text of [
    '[1]',
    ' \n[1]',
    'array([1])',
    'array(\n[1])',
    'Array(.5)',
    'tensor(-1)',
    'tensor(+1)',
    'Tensor(nan)',
    'array(inf)',
    'array()',
    'np.float32(1)',
    'uint8(1)',
    'int64(1)',
    'jax.numpy.bfloat16(1)',
    'Out[12]: [1]',
    '>>> [1]',
    'Parameter containing:\ntensor([1.])',
  ]) {
    expect(isPrinted(text), text).toBe(true);
  }
});

test('text that PyTorch and IPython print around an array is skipped', async () => {
  for (const text of [
    'Parameter containing:\ntensor([1., 2.], requires_grad=True)',
    '>>> array([1., 2.])',
    'Out[12]: array([1., 2.], dtype=np.float32)',
    'array([1., 2.], dtype="<f8", weak_type=True)',
    "tensor([1., 2.], device='cuda:0', size=(2,), grad_fn=<A B>)",
    'np.array([np.float32(1.0), np.float64(2.)])',
    '[array(1.), array(2.)]',
    '[1.\t2.\r\n]',
    '[1., 2.,]',
    '[tensor(1., size=()), tensor(2.)]',
    '<tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>\n',
    "<tf.Variable 'w:0' shape=(2,) dtype=float32, numpy=\narray([1., 2.])>",
  ]) {
    expect(await parse(text), text).toEqual({ shape: [2], data: Float64Array.of(1, 2) });
  }
});

test('JSON is distinguished from printed arrays by its syntax; all other texts are tables', async () => {
  expect(await parse(' {"a": 1}')).toEqual({ shape: [], data: Float64Array.of(1) });
  expect(await parse(' "NaN"')).toEqual({ shape: [], data: Float64Array.of(Number.NaN) });
  expect((await parse('"1","2"\n3,4')).data).toEqual(Float64Array.of(1, 2, 3, 4));
  expect((await parse('[true, false]')).data).toEqual(Uint8Array.of(1, 0));
  expect((await parse('[NaN, 1]')).data).toEqual(Float64Array.of(Number.NaN, 1));
  expect(await parse('5')).toEqual({ shape: [1, 1], data: Float64Array.of(5) });
});

test('tables may have comments, empty lines, quotes and any end of line, and errors name the line of the text', async () => {
  const table = { shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) };
  for (const text of [
    '# a\n\n  # b\n1,2\n \n3,4\n',
    '1,2\r3,4',
    '1,2\r\n3,4\r\n',
    ' "1" , " 2 " \n"3","4"',
    '1\t2\n3\t4',
    '1   2\n 3 4 ',
  ]) {
    expect(await parse(text), JSON.stringify(text)).toEqual(table);
  }
  for (const text of ['# a\r\n\r\n1,2\r\n3,x', '# a\r\r1,2\r3,x', '# a\n\n1,2\n3,x']) {
    await expect(parse(text)).rejects.toThrow('pasted: line 4, column 2 is "x"; expected a number');
  }
  expect((await parse('1 2 3\n4 5\t6')).shape).toEqual([2, 3]);
  // If the first line of numbers contains a tab, tabs separate the cells.
  expect((await parse('1,2\n# \t')).data).toEqual(Float64Array.of(1, 2));
  await expect(parse('1\t2,5')).rejects.toThrow('expected a decimal point, as in 2.5');
  await expect(parse('1 "2')).rejects.toThrow('pasted: line 1, column 2 is "\\"2"');
});

test('a line with many quotes, or with one, is split in time proportional to its length', async () => {
  expect((await parse(new Array(200_000).fill('"1"').join(','))).shape).toEqual([1, 200_000]);
  await expect(parse(`1,"${'2,'.repeat(200_000)}`)).rejects.toThrow('is "\\"2"; expected a number');
  await expect(parse(`1,${'2"'.repeat(200_000)}`)).rejects.toThrow('pasted: line 1, column 2 is "2');
});

test('more rows than the memory limit allows are an error', async () => {
  const read = (limit: number) => parseText(Buffer.from('1,2\n3,4'), 'pasted', limit);
  await expect(read(127)).rejects.toThrow('pasted: too large to fit into memory; pass fewer rows');
  expect((await read(128)).shape).toEqual([2, 2]);
});

test('any text gives an array that fits its shape, or a one-line error', async () => {
  const fragment = fc.constantFrom(
    ...[
      '[',
      ']',
      '[[',
      ']]',
      ',',
      ' ',
      '\n',
      '1',
      '-2.',
      '1e-17',
      'nan',
      '...',
      'array(',
      ')',
      'dtype=f',
      '"',
      '\u009b',
      ';',
      '#',
    ],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fragment, { maxLength: 20 }), async (parts) => {
      try {
        const { data, shape } = await parse(parts.join(''));
        expect(data.length).toBe(shape.reduce((product, length) => product * length, 1));
      } catch (error) {
        if (!isSoftgradError(error)) throw error;
        expect(error.message).toMatch(/^pasted: \P{Cc}+$/u);
      }
    }),
    { numRuns: 300 },
  );
});

test('numbers beyond float64 are errors in every form of text, with their place', async () => {
  for (const [text, place] of [
    ['[1 -1e400]', 'line 1, column 4: "-1e400" is beyond float64'],
    ['array([[1.5,\n 1e309]])', 'line 2, column 2: "1e309" is beyond float64'],
    ['1 1e400', 'line 1, column 2 is "1e400"'],
    ['[1, 1e400]', '[1] is a number beyond float64'],
  ]) {
    await expect(parseText(Buffer.from(text), 'x.txt', 1e9), text).rejects.toThrow(
      `x.txt: ${place}; expected a number in`,
    );
  }
});

describe('what a printed text states about its array is compared with its numbers', () => {
  const twelve = Array.from({ length: 12 }, (_, k) => k).join(', ');
  test.each([
    [`Float32Array(12) [ ${twelve} ]`, [12]],
    ['array([], shape=(0, 12), dtype=float64)', [0, 12]],
    ["tf.tensor2d([[1, 2]], [1, 2], 'float32')", [1, 2]],
    // The shape of an array inside of a list is not that of the whole.
    ['[array([1, 2], shape=(3,))]', [1, 2]],
    ["<tf.Tensor: shape=(2,), dtype=bfloat16, numpy=array([1, 2], dtype=<dtype: 'bfloat16'>)>", [2]],
  ])('%s has the shape %j', async (text, shape) => {
    expect((await parse(text)).shape).toEqual(shape);
  });

  test.each([
    [
      '<tf.Tensor: shape=(2, 3), dtype=float32, numpy=array([1., 2.])>',
      'states shape (2, 3), but its numbers have (2,)',
    ],
    [
      'Tensor\n  dtype: float32\n  rank: 2\n  shape: [2,2]\n  values:\n    [[1, 2], ]',
      'states shape (2, 2), but its numbers have (1, 2)',
    ],
    ['array([1], shape=(0, 2))', 'states shape (0, 2), but its numbers have (1,)'],
    ['array([1, 2]; ', 'text after the end of the array; expected one array; remove ";"'],
    ['tensor(1x)', '"1x" is not a number'],
    ['array([1, x]) # note', '"x" is not a number'],
    [
      'array([1e999])',
      '"1e999" is beyond float64; expected a number in the range of float64, up to 1.8e308 in size, or inf',
    ],
    [
      'array([-1e999])',
      '"-1e999" is beyond float64; expected a number in the range of float64, up to 1.8e308 in size, or -inf',
    ],
  ])('%s', async (text, message) => {
    await expect(parse(text)).rejects.toMatchObject({
      code: message.includes('states') ? 'ERR_SHAPE' : 'ERR_VALUE',
      message: expect.stringMatching(`^pasted: line 1, column \\d+: `),
    });
    await expect(parse(text)).rejects.toThrow(message);
  });
});

test('true and false are numbers only where they are asked for, as whole words in any case', async () => {
  for (const text of ['[True False]', 'true,FALSE', 'True;false']) {
    const { data } = await parseText(Buffer.from(text), 'mask', 1e9, { booleans: true });
    expect([...data], text).toEqual([1, 0]);
  }
  for (const text of ['[True False]', '[true 1]', '1,true']) await expect(parse(text)).rejects.toThrow(/"true"/i);
  for (const text of ['truest', 'untrue', 'falsest', 'unfalse'])
    await expect(parseText(Buffer.from(`1,${text}\n`), 'mask', 1e9, { booleans: true })).rejects.toThrow(
      `is "${text}"`,
    );
  // Of 1,5 in a table with names, only the line of numbers tells the delimiter.
  expect(detectDelimiter('true,true\n1;2\n', ',')).toBe(';');
  expect(detectDelimiter('true,true\n1;2\n', ',', true)).toBe(',');
});

test('shares of the work on a table are reported once for each 1024 lines, and JSON in a text has shares too', async () => {
  const sharesOf = async (text: string) => {
    const shares: number[] = [];
    await parseText(Buffer.from(text), 'pasted', 1e9, { onShare: (share) => shares.push(share) });
    return shares;
  };
  const table = '1\n'.repeat(3000);
  expect(await sharesOf(table)).toEqual([0.1, 0.1 + 0.9 * (1024 / 3001), 0.1 + 0.9 * (2048 / 3001)]);
  expect((await parse(table)).data).toHaveLength(3000);
  expect((await sharesOf(JSON.stringify({ a: Array(10_000).fill(0) }))).length).toBeGreaterThan(2);
});
