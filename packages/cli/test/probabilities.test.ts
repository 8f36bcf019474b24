import { afterAll, describe, expect, test } from 'vitest';
import { csv, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const logits = folder.writeNpy(
  'logits.npy',
  signal.map((row) => row.map(Math.log)),
);
const half = ['--dtype', 'float16'];
const single = ['--dtype', 'float32'];

/** The result of softmax in a file of this name. */
async function probabilities(name: string, ...options: string[]): Promise<string> {
  const out = folder.at(name);
  expect(await softgrad(['softmax', logits, '--out', out, '--backend', 'cpu', ...options])).toMatchObject({
    status: 0,
    stderr: '',
  });
  return out;
}

async function noticeOf(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await folder.softgrad([...args, '--backend', 'cpu']);
  expect(status).toBe(0);
  expect(stdout).not.toBe('');
  return stderr;
}

function notice(file: string, command: string): string {
  return `softgrad: ${file}: every row adds up to 1, as probabilities do, but ${command} takes logits: softmax is applied to them once more. The logarithms of probabilities are logits; \`softgrad doctor\` takes probabilities as --probs\n`;
}

describe('probabilities where logits are expected are reported after the result', () => {
  const upstream = ['--upstream', logits];
  test.each([
    ['softmax'],
    ['softmin'],
    ['log-softmax'],
    ['log-sum-exp'],
    ['jacobian'],
    ['vjp', ...upstream],
    ['jvp', ...upstream],
    ['hvp', ...upstream, '--tangent', logits],
    ['cross-entropy', '--target', '0,1,2,0'],
  ])('by %s', async (command, ...options) => {
    const file = await probabilities('double.npy');
    expect(await noticeOf(command, file, ...options)).toBe(notice('double.npy', command));
    expect(await noticeOf(command, logits, ...options)).toBe('');
  });

  test('of the signal of the original question, in a table', async () => {
    expect(await noticeOf('softmax', folder.write('signal.csv', csv(signal)))).toBe(notice('signal.csv', 'softmax'));
  });

  test('in any dtype, with its rounding', async () => {
    expect(await noticeOf('softmax', await probabilities('single.csv', ...single))).toBe(
      notice('single.csv', 'softmax'),
    );
    expect(await noticeOf('softmax', await probabilities('half.npy', ...half))).toBe(notice('half.npy', 'softmax'));
  });

  test('along the axis of the command', async () => {
    const columns = await probabilities('columns.npy', '--axis', '0');
    expect(await noticeOf('softmax', columns, '--axis', '0')).toBe(notice('columns.npy', 'softmax'));
    expect(await noticeOf('softmax', columns)).toBe('');
  });

  test.each([
    ['rows that add up to 1 of entries outside [0, 1]', [[-0.5, 1.5]]],
    ['negative entries', [[-0.25, 0.5, 0.75]]],
    [
      'entries above 1 among rows of probabilities',
      [
        [0.5, 0.5, 0],
        [1.5, -0.5, 0],
      ],
    ],
    [
      'one row that does not',
      [
        [0.5, 0.5],
        [0.5, 0.25],
        [0.5, 0.5],
      ],
    ],
    [
      'the last row',
      [
        [0.5, 0.5],
        [0.5, 0.5001],
      ],
    ],
    [
      'zeros and ones alone',
      [
        [0, 1],
        [1, 0],
      ],
    ],
    ['a single class', [[0.9999999], [1]]],
    ['NaN', [[0.5, Number.NaN]]],
  ])('but not %s', async (_, rows) => {
    expect(await noticeOf('softmax', folder.writeNpy('other.npy', rows))).toBe('');
  });

  test('of all chunks of a file, not of one', async () => {
    const rows = [
      [0.25, 0.75],
      [0.5, 0.5],
      [1, 2],
    ];
    const limits = { chunk: 16 };
    const computed = (name: string, count: number) =>
      folder.softgrad(['softmax', folder.writeNpy(name, rows.slice(0, count)), '--backend', 'cpu'], { limits });
    expect((await computed('chunks.npy', 2)).stderr).toBe(notice('chunks.npy', 'softmax'));
    expect((await computed('chunks.npy', 3)).stderr).toBe('');
  });

  test('not by commands for which entries are independent', async () => {
    expect(await noticeOf('sigmoid', await probabilities('double.npy'))).toBe('');
  });
});
