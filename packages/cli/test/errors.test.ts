import { mkdirSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { npyHeader } from '@softgrad/formats';
import { afterAll, describe, expect, test } from 'vitest';
import { systemReason } from '../src/files/open.js';
import { missingPermission } from '../src/permission.js';
import { csv, fakeBackends, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const good = folder.write('good.csv', csv(signal));
const short = folder.write('short.csv', csv(signal.slice(0, 3)));
const shortMask = folder.write('short-mask.csv', '1,0,1\n'.repeat(3));
const wide = folder.write('wide.json', '[[1, 2, 3, 4]]');
mkdirSync(folder.at('folder.npy'));
mkdirSync(folder.at('unfinished.npy'));
folder.write('unfinished.npy/plan.json', '{}');
folder.write('ragged.csv', '1,2\n3\n');
folder.write('text.csv', '1,2\n3,oops\n');
folder.write('ragged.json', '[[1, 2], [3]]');
folder.write('cut.json', '[[1, 2], [3');
folder.write('cut.npy', Buffer.from(npyHeader('<f8', [4, 3])));
folder.write(
  'hostile.npy',
  Buffer.concat([Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 255, 255, 255, 255]), Buffer.alloc(64)]),
);
folder.write('cut.npz', Buffer.from('PK\u0003\u0004 and nothing more'));
folder.write('notes.md', 'hello');
folder.write('thousands.csv', '"1,049.34","2,000.10"\n999.5,998.2\n');
folder.write('named.csv', 'a,b\n1,2\n');
folder.write('cube.json', '[[[1, 1, 0, 1]]]');
folder.write('square.json', '[[1, 2], [3, 4]]');
folder.write('infinite.json', '[1, "Infinity", 1]');
folder.writeSafetensors('model.safetensors', { a: [[0, 1]], 'b/c:d': [[0, 0]] });
folder.write('words.txt', 'hello');
folder.write('abbreviated.txt', '[[1 2]\n ...\n [3 4]]');
folder.write('noending', '[1]');
folder.write('scalar.json', '1');
folder.write('bad-class.json', '[0, 1, 3, 0]');
folder.write('half-class.json', '[0, 1, 0.5, 0]');
folder.write('nan-class.json', '[0, 1, NaN, 0]');
folder.write('nan-target.csv', csv(signal).replace('0.3089068053925853', 'nan'));
// Sparse: they take no disk space.
const widest = folder.write('widest.npy', npyHeader('<f4', [1, 1_000_000]));
truncateSync(widest, readFileSync(widest).length + 4e6);

describe('errors are one line on standard error with exit code 2, and an existing output is unchanged', () => {
  test.each<[string, readonly string[], RegExp | string]>([
    [
      'the URL of a file of this machine',
      ['softmax', 'file:///data/logits.npy'],
      /^softgrad: file:\/\/\/data\/logits\.npy: a URL, which is not read; expected the path of the file, \/data\/logits\.npy\n$/,
    ],
    [
      'a URL',
      ['softmax', 'https://example.com/logits.npy'],
      /^softgrad: https:\/\/example\.com\/logits\.npy: a URL, which is not read; download it, or pipe it, as in curl -s URL \| softgrad softmax -; expected/,
    ],
    ['an empty argument', ['softmax', ''], /^softgrad: '': no such file or directory; expected \.npy/],
    [
      'a missing file',
      ['softmax', 'missing.npy'],
      /^softgrad: missing\.npy: no such file or directory; expected \.npy/,
    ],
    [
      'a folder',
      ['softmax', 'folder.npy'],
      /^softgrad: folder\.npy: is a directory; expected \.npy, .*, or the folder of a finished `softgrad run`\n$/,
    ],
    [
      'the folder of a run that is not finished',
      ['softmax', 'unfinished.npy'],
      /^softgrad: unfinished\.npy: the folder of a run that is not finished; softgrad run --resume .*unfinished\.npy continues it\n$/,
    ],
    ['a name that is too long', ['softmax', 'x'.repeat(280)], /^softgrad: x+: the name is too long\n$/],
    [
      'a word that begins as true',
      ['softmax', '1,2', '--mask', 'trueish,1'],
      /^softgrad: --mask trueish,1: no such file or directory/,
    ],
    ['a name that ends as a list', ['softmax', 'x[1]'], /^softgrad: x\[1\]: no such file or directory; expected \.npy/],
    [
      'a list as an argument',
      ['softmax', '[[1, 2]]'],
      /^softgrad: \[\[1, 2\]\]: no such file or directory; lists are read from standard input, as in echo '\[\[1, 2\]\]' \| softgrad softmax -\n$/,
    ],
    ...['[1, -2.5,3]', ' [1 -2.5 3] ', '1 -2.5 3', '1; -2.5; 3', '1, -2.5  3'].map(
      (text): [string, string[], RegExp] => [
        `numbers that are not between commas alone: ${text}`,
        ['softmax', text],
        /: no such file or directory; expected numbers with commas alone between them, as in 1,-2\.5,3\n$/,
      ],
    ),
    ...(
      [
        ['1e400', "'1e400' cannot be read as a number"],
        ['1,-1e400', "'-1e400' cannot be read as a number"],
        ['0x10,1', "'0x10' cannot be read as a number"],
        ['1,2.5.6', "'2.5.6' cannot be read as a number"],
        ['.5,none', "'none' cannot be read as a number"],
        ['1,,2', 'a number is missing beside a comma'],
        ['1,2,', 'a number is missing beside a comma'],
      ] as const
    ).map(([text, found]): [string, string[], string] => [
      `numbers of which one cannot be read: ${text}`,
      ['softmax', text],
      `softgrad: ${text}: no such file or directory; ${found}; expected decimal numbers in the range of float64, nan, inf or -inf, with commas between them\n`,
    ]),
    ...['3.npy', '1,2.csv', '1e5x', ',', 'inf', 'a,b', '2024/x'].map((text): [string, string[], RegExp] => [
      `a name that has digits or commas: ${text}`,
      ['softmax', text],
      /: (no such file or directory|unknown ending \S+); expected \.npy/,
    ]),
    [
      'an array of standard input by its name',
      ['softmax', '-:logits'],
      "softgrad: unknown option '-:logits'; names follow those of files alone: save standard input as FILE.json, and choose FILE.json:NAME\n",
    ],
    [
      'a name with control characters, which a terminal would obey',
      ['softmax', 'a\u001b[2K\u0007\u009b.npy'],
      /^softgrad: a\\x1b\[2K\\x07\\x9b\.npy: no such file or directory; /,
    ],
    ['the same in the name of a command', ['\u001b[31m'], /^softgrad: unknown command '\\x1b\[31m'; /],
    [
      'the same of an option',
      ['vjp', good, '--upstream', '[1, 2]'],
      /^softgrad: --upstream \[1, 2\]: no such file .* commas alone between them, as in 1,2\n$/,
    ],
    [
      'numbers that are several arguments',
      ['softmax', '1', '2.5', '3'],
      /^softgrad: too many arguments; expected numbers with commas between them, as in 1,2\.5,3\n$/,
    ],
    [
      'several files',
      ['softmax', good, '2.npy'],
      /^softgrad: too many arguments for 'softmax'\. Expected 1 argument but got 2\.\n$/,
    ],
    ['an unknown ending', ['softmax', 'notes.md'], /^softgrad: notes\.md: unknown ending \.md; expected \.npy/],
    ['words', ['softmax', 'words.txt'], /^softgrad: words\.txt: no row of numbers; expected nested lists/],
    [
      'an array that is printed in part',
      ['softmax', 'abbreviated.txt'],
      /^softgrad: abbreviated\.txt: line 2, column 2: abbreviated .*np\.set_printoptions\(threshold=np\.inf\)/,
    ],
    ['no ending', ['softmax', folder.at('noending')], /^softgrad: noending: the name has no ending/],
    ['ragged rows', ['softmax', 'ragged.csv'], /^softgrad: ragged\.csv: line 2 has 1 cell; expected 2, as in line 1/],
    ['text in a cell', ['softmax', 'text.csv'], /^softgrad: text\.csv: line 2, column 2 is "oops"; expected a number/],
    ['ragged lists', ['softmax', 'ragged.json'], /^softgrad: ragged\.json: ragged: \[1\] has 1 entries; expected 2/],
    ['cut JSON', ['softmax', 'cut.json'], /^softgrad: cut\.json: line 1, column 12: not JSON at the end of the file/],
    [
      'a truncated .npy',
      ['softmax', 'cut.npy'],
      /^softgrad: cut\.npy: truncated: shape \(4, 3\) of <f8 takes 96 bytes, but 0 follow/,
    ],
    [
      'a hostile .npy',
      ['softmax', 'hostile.npy'],
      /^softgrad: hostile\.npy: truncated: the header should take 4294967295/,
    ],
    ['a broken .npz', ['softmax', 'cut.npz'], /^softgrad: cut\.npz: not a \.npz archive/],
    [
      'a single number',
      ['softmax', 'scalar.json'],
      /^softgrad: scalar\.json: a single number; expected at least one dimension/,
    ],
    [
      'an unknown axis',
      ['softmax', good, '--axis', '2'],
      /good\.csv: axis 2 of an array of shape \(rows, 3\); expected -2 to 1/,
    ],
    [
      'an axis before the first',
      ['softmax', good, '--axis', '-3'],
      /good\.csv: axis -3 of an array of shape \(rows, 3\); expected -2 to 1/,
    ],
    [
      'an axis that is not an integer',
      ['softmax', good, '--axis', '1.5'],
      /'--axis <n>' argument '1\.5' is invalid\. Expected an integer/,
    ],
    [
      'a temperature of 0',
      ['softmax', good, '--temperature', '0'],
      /'0' is invalid\. Expected a finite number above 0/,
    ],
    [
      'a number that is not decimal',
      ['softmax', good, '--temperature', '0x10'],
      /'0x10' is invalid\. Expected a finite number above 0\./,
    ],
    [
      'numbers that are not decimal',
      ['softmax', '0x10,2'],
      /^softgrad: 0x10,2: no such file or directory; '0x10' cannot be read as a number; expected/,
    ],
    ['a temperature of NaN', ['softmax', good, '--temperature', 'nan'], /'nan' is invalid/],
    [
      'an unknown dtype',
      ['softmax', good, '--dtype', 'int8'],
      /'int8' is invalid\. Allowed choices are float16, float32, float64/,
    ],
    [
      'an unknown backend',
      ['softmax', good, '--backend', 'xyzzy'],
      /^softgrad: no backend is named 'xyzzy': known are cpu, .*; --module takes a package or a file of your own\n$/,
    ],
    ...[
      ['softmax', good, '--backend', './mine.mjs'],
      ['softmax', good, '--backend', './mine.mjs:threads=2'],
      ['vjp', good, '--upstream', good, '--backend', './mine.mjs'],
      ['cross-entropy', good, '--target', '0', '--backend', './mine.mjs'],
      ['run', 'softmax', good, '--out', 'out', '--backend', './mine.mjs'],
      ['worker', '--redis', 'redis://127.0.0.1:1', '--backend', './mine.mjs'],
    ].map((args): [string, string[], RegExp] => [
      `a file for a backend: ${args.join(' ')}`,
      args,
      /^softgrad: (?:--)?backends? (\S+): looks like a file; expected --module \1\n$/,
    ]),
    [
      'a file for a backend to inspect',
      ['backends', 'a\\mine'],
      /^softgrad: backends a\\mine: looks like a file; expected the name of a backend; commands that compute, like `softgrad softmax`, take a file, as --module a\\mine\n$/,
    ],
    [
      'a name and a module for the backend of shards',
      ['run', 'softmax', good, '--out', 'out', '--backend', 'cpu', '--module', './mine.mjs'],
      /^softgrad: --backend and --module cannot both be given: expected one of them\n$/,
    ],
    [
      'an unknown backend of a worker, which would wait for shards forever',
      ['worker', '--redis', 'redis://127.0.0.1:1', '--backend', 'xyzzy'],
      /^softgrad: no backend is named 'xyzzy'; expected cpu, .*; --module takes a package or a file of your own\n$/,
    ],
    [
      'an option of the backend without a value',
      ['softmax', good, '--backend', 'wasm:2'],
      /^softgrad: backend 'wasm:2': expected options like wasm:threads=2\n$/,
    ],
    [
      'an option of the backend twice',
      ['softmax', good, '--backend', 'wasm:threads=2:threads=3'],
      /^softgrad: backend 'wasm:threads=2:threads=3': the option threads is given twice; expected one value for it\n$/,
    ],
    [
      'an option that the backend does not have',
      ['softmax', good, '--backend', 'wasm:thread=2'],
      /^softgrad: wasm\.open: unknown option 'thread' \(did you mean 'threads'\?\); expected one of threads, /,
    ],
    [
      'options of a backend of shards',
      ['run', 'softmax', good, '--out', 'o', '--backend', 'wasm:threads=2'],
      /^softgrad: --backend wasm:threads=2: shards .*; expected --backend wasm, and --threads N for N shards at once\n$/,
    ],
    [
      'a dtype that the backend lacks',
      ['softmax', good, '--backend', 'tfjs', '--dtype', 'float64'],
      /^softgrad: tfjs \w+ does not compute in float64, which --dtype asks for; expected --dtype float32, or another/,
    ],
    [
      'a first line that is a row',
      ['softmax', 'thousands.csv'],
      /^softgrad: thousands\.csv: line 1, column 1 is "1,049\.34"; expected no thousands separators, as in 1049\.34 \(--header yes if line 1 names the columns, --header no if it does not\)\n$/,
    ],
    [
      'a header that is said to be none',
      ['softmax', 'named.csv', '--header', 'no'],
      /^softgrad: named\.csv: line 1, column 1 is "a"; expected a number\n$/,
    ],
    ['a header that is neither', ['softmax', good, '--header', 'maybe'], /Allowed choices are yes, no/],
    [
      'a mask of another shape',
      ['softmax', good, '--mask', wide],
      /^softgrad: --mask .*wide\.json: shape \(1, 4\); expected a shape that broadcasts to \(rows, 3\), the shape of .*good\.csv/,
    ],
    [
      'a mask of more dimensions',
      ['softmax', wide, '--mask', 'cube.json'],
      /^softgrad: --mask cube\.json: shape \(1, 1, 4\); expected a shape that broadcasts to \(1, 4\)/,
    ],
    [
      'a mask of fewer rows',
      ['softmax', good, '--mask', shortMask],
      /short-mask\.csv: fewer rows than .*good\.csv; expected the same/,
    ],
    [
      'a mask of fewer rows, all of which are taken at once',
      ['cross-entropy', good, '--target', '0,1,2,0', '--mask', shortMask],
      /^softgrad: --mask .*short-mask\.csv: shape \(3, 3\); expected a shape that broadcasts to \(4, 3\)/,
    ],
    [
      'a mask that is none',
      ['vjp', good, '--upstream', good, '--mask', good],
      /^softgrad: --mask .*good\.csv: line 1, column 1 is 0\.339\d+, not a boolean; expected true or 1 to keep an entry/,
    ],
    [
      'weights of another number',
      ['cross-entropy', good, '--target', '0,1,2,0', '--weight', '1,2'],
      /^softgrad: --weight 1,2: shape \(2,\); expected \(3,\), one weight for each class/,
    ],
    [
      'weights in rows',
      ['cross-entropy', '1,2,3,4', '--target', '0', '--weight', 'square.json'],
      /^softgrad: --weight square\.json: shape \(2, 2\); expected \(4,\)/,
    ],
    [
      'a weight without an end',
      ['cross-entropy', good, '--target', '0,1,2,0', '--weight', 'infinite.json'],
      /^softgrad: --weight infinite\.json: \[1\] is Infinity; expected a finite number/,
    ],
    [
      'a first weight that is NaN',
      ['cross-entropy', good, '--target', '0,1,2,0', '--weight', folder.write('nan-first.json', '[NaN, 1, 1]')],
      /^softgrad: --weight nan-first\.json: \[0\] is NaN; expected a finite number/,
    ],
    [
      'classes of another number',
      ['cross-entropy', good, '--target', '0,2'],
      /^softgrad: --target 0,2: shape \(2,\) for logits of \(4, 3\); expected class indices of \(4,\) or probabilities of \(4, 3\)\n$/,
    ],
    [
      'a model of several tensors',
      ['softmax', 'model.safetensors'],
      /^softgrad: model\.safetensors: holds 2 tensors \("a", "b\/c:d"\); choose one, as in model\.safetensors:a/,
    ],
    [
      'an upstream of another shape',
      ['vjp', good, '--upstream', wide],
      /^softgrad: --upstream .*wide\.json: shape \(1, 4\); expected \(rows, 3\), the shape of .*good\.csv/,
    ],
    [
      'an upstream of fewer rows',
      ['vjp', good, '--upstream', short],
      /short\.csv: fewer rows than .*good\.csv; expected the same number/,
    ],
    [
      'an upstream of more rows',
      ['jvp', short, '--upstream', good],
      /good\.csv: more rows than .*short\.csv; expected the same number/,
    ],
    ...(
      [
        ['INPUT', 'softmax', '-', '--mask', '-'],
        ['INPUT', 'vjp', '-', '--upstream', '-'],
        ['--upstream', 'hvp', good, '--upstream', '-', '--tangent', '-'],
        ['INPUT', 'cross-entropy', '-', '--target', '-'],
        ['--target', 'cross-entropy', good, '--target', '-', '--mask', '-'],
        ['--mask', 'cross-entropy', good, '--target', '0', '--mask', '-', '--weight', '-'],
      ] as const
    ).map(([first, ...args]): [string, readonly string[], RegExp] => [
      `standard input twice: ${args.join(' ')}`,
      args,
      new RegExp(`^softgrad: ${first} and ${args.at(-2)} cannot both be standard input\n$`),
    ]),
    [
      'a tangent of another shape',
      ['hvp', good, '--upstream', good, '--tangent', wide],
      /^softgrad: --tangent .*wide\.json: shape \(1, 4\); expected \(rows, 3\), the shape of .*good\.csv/,
    ],
    ['no tangent', ['hvp', good, '--upstream', good], /required option '--tangent <file>' not specified/],
    [
      'no upstream',
      ['vjp', good],
      /^softgrad: required option '--upstream <file>' not specified; expected the upstream gradient ∂L\/∂s, of the shape of the logits$/m,
    ],
    [
      'no target',
      ['cross-entropy', good],
      /^softgrad: required option '--target <file>' not specified; expected class indices from 0, one for each row, or .* like 0,2$/m,
    ],
    [
      'a class past the last',
      ['cross-entropy', good, '--target', 'bad-class.json'],
      /^softgrad: --target bad-class\.json: \[2\] is 3; expected a class index from 0 to 2/,
    ],
    [
      'a class past the last of indices with a 0',
      ['cross-entropy', good, '--target', '0,1,2,3'],
      /, or -100 to ignore the row$/m,
    ],
    [
      'classes that count from 1',
      ['cross-entropy', good, '--target', '1,-100,2,3'],
      /^softgrad: --target 1,-100,2,3: \[3\] is 3; .*, or -100 to ignore the row; if these count from 1, take 1 off$/m,
    ],
    [
      'classes of pixels, which PyTorch has along dim 1',
      [
        'cross-entropy',
        folder.write('images.json', '[[[0, 1], [2, 3], [4, 5]]]'),
        '--target',
        folder.write('pixels.json', '[[2, 0]]'),
      ],
      /^softgrad: --target pixels\.json: .* or probabilities of \(1, 3, 2\); it fits --axis 1, the dimension of the classes$/m,
    ],
    [
      'a class that is not an integer',
      ['cross-entropy', good, '--target', 'half-class.json'],
      /^softgrad: --target half-class\.json: \[2\] is 0\.5; expected a class index/,
    ],
    [
      'a class that is NaN',
      ['cross-entropy', good, '--target', 'nan-class.json'],
      /^softgrad: --target nan-class\.json: \[2\] is NaN; expected a class index/,
    ],
    [
      'a target probability that is NaN',
      ['cross-entropy', good, '--target', 'nan-target.csv'],
      /^softgrad: --target nan-target\.csv: line 1, column 2 is NaN; expected a probability/,
    ],
    [
      'a target that cannot be opened',
      ['cross-entropy', good, '--target', '0,x'],
      /^softgrad: --target 0,x: no such file or directory; expected .* or numbers between commas\n$/,
    ],
    [
      'a target of another shape',
      ['cross-entropy', good, '--target', short],
      /^softgrad: --target short\.csv: shape \(3, 3\) for logits of \(4, 3\); expected class indices of \(4,\) or/,
    ],
    [
      'a target of as many entries as rows, but neither a row nor a column',
      ['cross-entropy', good, '--target', 'square.json'],
      /^softgrad: --target square\.json: shape \(2, 2\) for logits of \(4, 3\); expected class indices of \(4,\)/,
    ],
    [
      'a target with an axis of length 1 more than a row or a column has',
      ['cross-entropy', good, '--target', folder.write('deep-classes.json', '[[[0], [1], [2], [0]]]')],
      /^softgrad: --target deep-classes\.json: shape \(1, 4, 1\) for logits of \(4, 3\); expected class indices of \(4,\)/,
    ],
    [
      'a row of labels for rows in two dimensions',
      ['cross-entropy', folder.write('blocks.json', '[[[0, 1], [2, 3]]]'), '--target', '0,1'],
      /^softgrad: --target 0,1: shape \(2,\) for logits of \(1, 2, 2\); expected class indices of \(1, 2\)/,
    ],
    [
      'a column of labels for rows in two dimensions',
      ['cross-entropy', 'blocks.json', '--target', folder.write('column.csv', '0\n1\n')],
      /^softgrad: --target column\.csv: shape \(2, 1\) for logits of \(1, 2, 2\); expected class indices of \(1, 2\)/,
    ],
    [
      'a column of labels for another number of rows',
      ['cross-entropy', good, '--target', folder.write('three.csv', '0\n1\n2\n')],
      /^softgrad: --target three\.csv: shape \(3, 1\) for logits of \(4, 3\); expected class indices of \(4,\)/,
    ],
    [
      'two labels for one row',
      ['cross-entropy', '1,2,3', '--target', '0,1'],
      /^softgrad: --target 0,1: shape \(2,\) for logits of \(3,\); expected one class index or probabilities of \(3,\)\n$/,
    ],
    [
      'an upstream of fewer dimensions',
      ['vjp', folder.write('cube-of-3.json', '[[[1, 2, 3]]]'), '--upstream', folder.write('one.json', '[[1]]')],
      /^softgrad: --upstream one\.json: shape \(1, 1\); expected \(1, 1, 3\), the shape of cube-of-3\.json/,
    ],
    [
      'an upstream of more dimensions',
      ['vjp', folder.write('single.json', '[[1]]'), '--upstream', 'cube-of-3.json'],
      /^softgrad: --upstream cube-of-3\.json: shape \(1, 1, 3\); expected \(1, 1\), the shape of single\.json/,
    ],
    [
      'smoothing past 1',
      ['cross-entropy', good, '--target', wide, '--label-smoothing', '2'],
      /Expected a number from 0 to 1/,
    ],
    [
      'a Jacobian larger than memory',
      ['jacobian', widest],
      /widest\.npy: its Jacobian of shape \(1, 1000000, 1000000\) takes 4 TB in float32, .* `softgrad vjp` multiplies by it/,
    ],
    [
      'an unknown command',
      ['softmix', good],
      /^softgrad: unknown command 'softmix'; did you mean one of softmax, softmin\?\n$/,
    ],
    [
      'the name of an option in the place of a command',
      ['version', '--json'],
      /^softgrad: unknown command 'version'; did you mean --version\?\n$/,
    ],
    [
      'help on an unknown command',
      ['help', 'sofmax'],
      /^softgrad: unknown command 'sofmax'; did you mean softmax\?\n$/,
    ],
    [
      'an unknown command with an option that asks for help',
      ['nonesuch', '--help'],
      /^softgrad: unknown command 'nonesuch'; `softgrad --help` lists the commands\n$/,
    ],
    [
      'a function of the library',
      ['logSumExp', good],
      /^softgrad: unknown command 'logSumExp'; did you mean log-sum-exp\?\n$/,
    ],
    [
      'a function of the library that is no command',
      ['gradcheck', good],
      /^softgrad: unknown command 'gradcheck'; gradcheck is a function of the package softgrad: import \{ gradcheck \} from 'softgrad'; `softgrad doctor` checks the numbers of a gradient\n$/,
    ],
    [
      'the beginning of commands',
      ['J', good],
      /^softgrad: unknown command 'J'; did you mean one of jacobian, jvp\?\n$/,
    ],
    [
      'a file without a command',
      ['12.', '-h'],
      /^softgrad: unknown command '12\.'; `softgrad --help` lists the commands\n$/,
    ],
    [
      'no input',
      ['softmax'],
      /^softgrad: missing required argument 'INPUT'; expected a file, - for standard input, or numbers between commas\n$/,
    ],
    [
      'an unknown option',
      ['softmax', good, '--axes', '0'],
      /^softgrad: unknown option '--axes'; did you mean --axis\?\n$/,
    ],
    [
      'an option that is begun',
      ['softmax', good, '--temp', '2'],
      /^softgrad: unknown option '--temp'; did you mean --temperature\?\n$/,
    ],
    [
      'an option that is begun, with its value',
      ['softmax', good, '--temp=2'],
      /^softgrad: unknown option '--temp=2'; did you mean --temperature\?\n$/,
    ],
    ...[
      ['--dim', '--axis'],
      ['--Dims=1', '--axis'],
      ['-dim', '--axis'],
      ['--tau', '--temperature'],
      ['--T=2', '--temperature'],
      ['-T', '--temperature'],
      ['--axes', '--axis'],
      ['--device', '--backend'],
      ['-o', '--out'],
    ].map(([given, meant]): [string, readonly string[], RegExp] => [
      `an option with the name that another library has for it, ${given}`,
      ['softmax', good, given, '1'],
      new RegExp(`^softgrad: unknown option '${given}'; did you mean ${meant}\\?\\n$`),
    ]),
    [
      'an option in the spelling of the library',
      ['cross-entropy', good, '--target', '0', '--labelSmoothing', '0.1'],
      /^softgrad: unknown option '--labelSmoothing'; did you mean --label-smoothing\?\n$/,
    ],
    ...[
      ['vjp', '--grad', '--upstream'],
      ['vjp', '--grad_output=g.csv', '--upstream'],
      ['vjp', '--dim', '--axis'],
      ['jvp', '--tangent', '--upstream'],
      ['cross-entropy', '--labels', '--target'],
      ['cross-entropy', '--targets', '--target'],
    ].map(([command, given, meant]): [string, readonly string[], RegExp] => [
      `an unknown option, also where a required one is missing: ${command} ${given}`,
      [command, good, given, good],
      new RegExp(`^softgrad: unknown option '${given}'; did you mean ${meant}\\?\\n$`),
    ]),
    [
      'a required option that is missing',
      ['vjp', '--', '-1,2'],
      /^softgrad: required option '--upstream <file>' not specified; expected the upstream gradient .*\n$/,
    ],
    [
      'an option that begins with the name of one',
      ['doctor', '--gradient', good],
      /^softgrad: unknown option '--gradient'; did you mean --grad\?\n$/,
    ],
    [
      'the name of an option that the command does not have',
      ['sigmoid', good, '--dim', '1'],
      /^softgrad: unknown option '--dim'\n$/,
    ],
    [
      'a value like the error for an option that is begun',
      ['softmax', good, '--axis', "error: unknown option '--temp"],
      /^softgrad: option '--axis <n>' argument 'error: unknown option '--temp' is invalid\. Expected an integer\.\n$/,
    ],
    [
      'the beginning of several options',
      ['doctor', '--t', '2'],
      /^softgrad: unknown option '--t'; did you mean one of --target, --temperature\?\n$/,
    ],
  ])('%s', async (_, args, message) => {
    const out = folder.write('existing.npy', 'as it was');
    const before = readdirSync(folder.path).sort();
    const hasOut = !['softmix', 'backends', 'worker'].includes(args[0]);
    const { status, stdout, stderr } = await folder.softgrad(hasOut ? [...args, '--out', out] : args);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(status).toBe(2);
    expect(readFileSync(out, 'utf8')).toBe('as it was');
    expect(readdirSync(folder.path).sort()).toEqual(before);
  });
});

test.each([
  [
    ['--backend', 'cpu', 'softmax', good],
    '--backend before the command; options follow it, as in softgrad COMMAND INPUT --backend …',
  ],
  [
    ['--axis=0', 'softmax', good],
    '--axis=0 before the command; options follow it, as in softgrad COMMAND INPUT --axis=0',
  ],
  [['--backend', 'cpu', 'softmax', '--help'], '--backend before the command; '],
  // Without a command it is only unknown.
  [['--hlep'], "unknown option '--hlep'; did you mean --help?"],
  [['--backend', 'cpu'], "unknown command 'cpu'; "],
])('options before the command: %j', async (args, message) => {
  const { status, stdout, stderr } = await softgrad(args);
  expect(stderr.startsWith(`softgrad: ${message}`), stderr).toBe(true);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
});

test('options of the command softgrad itself come first', async () => {
  expect((await softgrad(['--version', 'softmax'])).status).toBe(0);
  expect((await softgrad(['-h', 'softmax'])).stdout).toContain('Usage: softgrad');
});

test.each([
  ['demo', '--backend', 'mine.ts'],
  ['accuracy', '--backends', 'cpu,mine.cjs'],
  ['backends', 'mine.js'],
])('a file for a backend: %s %s', async (...args) => {
  const { status, stdout, stderr } = await softgrad(args);
  const file = args.at(-1)?.replace('cpu,', '');
  expect(stderr).toMatch(/^softgrad: (?:--)?backends? /);
  const taker = args[0] === 'backends' ? 'the name of a backend; .*, like `softgrad softmax`, take a file, as ' : '';
  expect(stderr).toMatch(new RegExp(`${file}: looks like a file; expected ${taker}--module ${file}\n$`));
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
});

test('numbers in the place of files or options are an error that says how to pass them', async () => {
  expect((await softgrad(['softmax', '-1,2,3'])).stderr).toBe(
    "softgrad: unknown option '-1,2,3'; numbers that begin with a minus follow --, as in -- -1,2\n",
  );
  const args = ['run', 'cross-entropy', 'x.npy', '--target', '0,2', '--out', 'y', '--backend', 'cpu'];
  expect((await softgrad(args)).stderr).toBe(
    "softgrad: --target 0,2: a run reads files only; expected a .npy, as np.save('labels.npy', [0,2]) writes it\n",
  );
});

describe('an output that cannot be written is an error before anything is printed', () => {
  test.each([
    [
      'an unknown ending',
      'out.xlsx',
      /^softgrad: --out out\.xlsx: unknown ending; expected \.npy, \.npz, \.json, \.csv or \.tsv/,
    ],
    [
      'a folder that is not there',
      'nowhere/out.npy',
      /nowhere\/out\.npy: cannot be written: the folder \S*nowhere does not exist\n$/,
    ],
    ['a folder in its place', 'folder.npy', /folder\.npy: cannot be written: is a directory/],
  ])('%s', async (_, out, message) => {
    const { status, stderr } = await folder.softgrad(['softmax', good, '--backend', 'cpu', '--out', out]);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });

  test('an unknown ending is an error before the input is read', async () => {
    const { stderr } = await folder.softgrad(['softmax', 'missing.npy', '--backend', 'cpu', '--out', 'out.xlsx']);
    expect(stderr).toMatch(/^softgrad: --out out\.xlsx: unknown ending/);
  });

  test.each(['csv', 'tsv'])('a .%s cannot hold a Jacobian', async (ending) => {
    const args = ['jacobian', good, '--backend', 'cpu', '--out', folder.at(`jacobian.${ending}`)];
    const { status, stderr } = await softgrad(args);
    expect(stderr).toContain(
      `jacobian.${ending}: .${ending} holds at most two dimensions, but the result has 3; expected .npy, .npz or .json\n`,
    );
    expect(status).toBe(2);
  });
});

describe('a wrong cell is named by its option, file, line and column', () => {
  const lines = ['0,0,0', '0,1,0', '1,0,0'];
  const x = folder.write('x.csv', `a,b,c\n${lines.join('\n')}\n`);
  /** Three rows after a header and a comment, with this cell in the second column of the second row, or of the third line of a list. */
  const table = (cell: string) => `a,b,c\n# words\n1,0,0\n0,${cell},0\n\n0,0,1\n`;
  const listed = (cell: string) => `a\n# words\n0\n${cell}\n\n1\n`;
  const text = (content: string) => content.replaceAll(',', ' ').replace('a b c\n', '');
  const rows: Readonly<Record<string, readonly string[]>> = {
    '--mask': ['softmax', x],
    '--upstream': ['vjp', x],
    '--tangent': ['hvp', x, '--upstream', x],
    '--target': ['cross-entropy', x],
  };
  const doctor = ['doctor', '--logits', x];
  const grad = ['--grad', x];

  test.each<[string, string, readonly string[], string, RegExp, string]>([
    ...Object.entries(rows).map(([option, args]): [string, string, readonly string[], string, RegExp, string] => [
      option,
      'oops',
      args,
      'table',
      /"oops"; expected a number$/,
      '4, column 2',
    ]),
    [
      '--weight',
      'oops',
      ['cross-entropy', x, '--target', '0,1,2'],
      'list',
      /"oops"; expected a number$/,
      '4, column 1',
    ],
    ['--mask', '0.5', ['softmax', x], 'table', /0\.5, not a boolean; expected true or 1 /, '4, column 2'],
    ['--mask', '2', ['softmax', x, '--axis', '0'], 'table', /2, not a boolean; expected true or 1 /, '4, column 2'],
    ['--mask', '-1', ['cross-entropy', x, '--target', '0,1,2'], 'table', /-1, not a boolean; /, '4, column 2'],
    ['--target', 'nan', ['cross-entropy', x], 'table', /NaN; expected a probability$/, '4, column 2'],
    ['--target', '3', ['cross-entropy', x], 'list', /3; expected a class index from 0 to 2/, '4, column 1'],
    [
      '--weight',
      'inf',
      ['cross-entropy', x, '--target', '0,1,2'],
      'list',
      /Infinity; expected a finite/,
      '4, column 1',
    ],
    ['--upstream', 'oops', ['demo', x], 'table', /"oops"; expected a number$/, '4, column 2'],
    ['--logits', 'nan', ['doctor', ...grad], 'table', /NaN; expected a finite number or -Infinity/, '4, column 2'],
    ['--grad', 'oops', doctor, 'table', /"oops"; expected a number/, '4, column 2'],
    ['--upstream', 'inf', [...doctor, ...grad], 'table', /Infinity; expected a finite number/, '4, column 2'],
    ['--target', '-0.5', [...doctor, ...grad], 'table', /-0\.5; expected a probability/, '4, column 2'],
    ['--target', '3', [...doctor, ...grad], 'list', /3; expected a class index from 0 to 2/, '4, column 1'],
    ['--mask', '0.5', [...doctor, ...grad], 'table', /0\.5; expected true or 1 /, '4, column 2'],
    [
      '--weight',
      '-1',
      [...doctor, ...grad, '--target', '0,1,2'],
      'list',
      /-1; expected a finite number/,
      '4, column 1',
    ],
  ])('%s with %s: %j', async (option, cell, args, kind, message, place) => {
    const content = kind === 'table' ? table(cell) : listed(cell);
    for (const [file, header] of [
      ['cell.csv', 1],
      ['cell.txt', kind === 'table' ? 0 : 1],
    ] as const) {
      folder.write(file, file.endsWith('.txt') ? text(content) : content);
      const backend = args[0] === 'doctor' ? [] : ['--backend', 'cpu'];
      const { status, stdout, stderr } = await folder.softgrad([...args, option, file, ...backend]);
      const line = file === 'cell.csv' || header === 1 ? place : place.replace('4', '3');
      expect(stderr.startsWith(`softgrad: ${option} ${file}: line ${line} is `), stderr).toBe(true);
      expect(stderr.trimEnd()).toMatch(message);
      expect([status, stdout]).toEqual([2, '']);
    }
  });

  test.each([
    ['--logits', '-inf,-inf', /^logits: the row of line 3, column 1 is -Infinity throughout/],
    ['--probs', '0.5,0.25', /^probabilities: the row of line 3, column 1 adds up to 0\.75/],
  ])('and so is a row: %s', async (option, row, message) => {
    const file = folder.write('row.csv', `a,b\n0,1\n${row}\n`);
    const { stderr } = await folder.softgrad(['doctor', option, file, '--grad', '1,2']);
    const [start, rest = ''] = stderr.split('row.csv: ');
    expect(start).toBe(`softgrad: ${option} `);
    expect(rest).toMatch(message);
  });

  test('also in the rows of a mask that are read last', async () => {
    const entries = new Array(40).fill([1, 1, 1]);
    const mask = folder.writeNpy('late.npy', [...entries, [1, 7, 1]]);
    const logits = folder.writeNpy('many.npy', [...entries, [1, 1, 1]]);
    const args = ['softmax', logits, '--mask', mask, '--backend', 'cpu', '--out', folder.at('late.json')];
    const { stderr } = await softgrad(args, { limits: { chunk: 100 } });
    expect(stderr).toContain('late.npy: [40, 1] is 7, not a boolean');
  });
});

test('nothing is printed if the input is invalid at its end', async () => {
  const { status, stdout, stderr } = await softgrad(['vjp', short, '--upstream', good, '--backend', 'cpu']);
  expect(stderr).toMatch(/good\.csv: more rows than .*short\.csv; expected the same number/);
  expect([status, stdout]).toEqual([2, '']);
});

test('SOFTGRAD_DEBUG shows the stack', async () => {
  const env = { SOFTGRAD_DEBUG: '1' };
  expect((await folder.softgrad(['softmax', 'missing.npy'], { env })).stderr).toMatch(
    /^SoftgradError: missing\.npy.*\n +at [\s\S]*\nsoftgrad: missing\.npy.*\n$/,
  );
  expect((await folder.softgrad(['softmax', 'missing.npy'])).stderr).not.toMatch(/\n +at /);
});

test('an unexpected error is a defect of softgrad, in one line and with a separate exit code', async () => {
  const onIdle = () => {
    throw new Error('the first line\n  the second');
  };
  const conformance = ['conformance', '--backend', 'cpu'];
  const { status, stderr } = await softgrad(conformance, { onIdle });
  expect(stderr).toBe('softgrad: a defect of softgrad: the first line the second (SOFTGRAD_DEBUG=1 shows where)\n');
  expect(status).toBe(70);
  const debug = await softgrad(conformance, { onIdle, env: { SOFTGRAD_DEBUG: '1' } });
  expect(debug.stderr).toMatch(/^Error: the first line\n {2}the second\n +at /);
  expect(debug.stderr).toMatch(/\nsoftgrad: a defect of softgrad: the first line the second\n$/);
});

test.each([
  [
    { code: 'ERR_DLOPEN_DISABLED' },
    "Node's permission model denies loading native addons; the option --allow-addons of node allows it",
  ],
  [{ code: 'ERR_ACCESS_DENIED' }, "Node's permission model denies it: no"],
  [{ code: 'ENOENT' }, null],
  [{}, null],
])('what an error %j says of permissions', (members, expected) => {
  expect(missingPermission(Object.assign(new Error('no'), members))).toBe(expected);
});

test.each([
  ['ChildProcess', '', 'starting a process; the option --allow-child-process of node allows it'],
  ['WorkerThreads', '', 'starting a worker thread; the option --allow-worker of node allows it'],
  ['FileSystemRead', '/home/me/x.npy', 'reading /home/me/x.npy; the option --allow-fs-read of node allows it'],
  ['FileSystemWrite', '/home/me/x.npy', 'writing /home/me/x.npy; the option --allow-fs-write of node allows it'],
  ['Telepathy', '', 'Telepathy: the message of node'],
])('what the permission model of Node denies is no defect: %s', async (permission, resource, denial) => {
  const error = Object.assign(new Error('the message of node'), { code: 'ERR_ACCESS_DENIED', permission, resource });
  const cpu = { name: 'cpu', unavailable: async () => null, open: () => Promise.reject(error) };
  const message = `Node's permission model denies ${denial}`;
  expect(systemReason(error)).toBe(message);
  expect(await softgrad(['softmax', '1,2', '--backend', 'cpu'], { backends: fakeBackends({ cpu }) })).toEqual({
    status: 2,
    stdout: '',
    stderr: `softgrad: ${message}\n`,
  });
  const { stdout, status } = await softgrad(['report'], { backends: fakeBackends({ cpu }) });
  expect(stdout).toContain(`| cpu | cannot run: ${message} |`.replace('/home/me/', '…/'));
  expect(status).toBe(0);
});

test('a scalar is read like any other array: as the class of one row, or as an error of the command', async () => {
  const row = folder.write('row.json', '[1, 2, 3]');
  const label = folder.write('label.json', '2');
  const loss = await softgrad(['cross-entropy', row, '--target', label]);
  expect(JSON.parse(loss.stdout).loss).toBeCloseTo(0.4076059644443801, 12);
  const { status, stderr } = await softgrad(['doctor', '--logits', label, '--grad', label]);
  expect(stderr).toMatch(/^softgrad: --logits .*label\.json: logits is a single number; expected rows of classes/);
  expect(status).toBe(2);
});

describe('a very long value is not repeated in full by the error that refuses it', () => {
  const long = 'A'.repeat(5000);
  const lines: readonly (readonly string[])[] = [
    [long],
    ['softmax', long],
    ['softmax', `${'1,'.repeat(2000)}x`],
    ['softmax', '1,2', `--${long}`],
    ['softmax', '1,2', '--axis', '9'.repeat(5000)],
    ['softmax', '1,2', '--dtype', long],
    ['softmax', '1,2', '--out', long],
    ['softmax', '1,2', '--out', `${long}.npy`],
    ['softmax', '1,2', '--backend', long],
    ['softmax', '1,2', '--backend', `wasm:${long}=3`],
    ['softmax', '1,2', '--backend', `wasm:threads=${long}`],
    ['softmax', '1,2', '--backend', `gpujs:mode=${long}`],
    ['softmax', '1,2', '--backend', `tfjs:engine=${long}`],
    ['cross-entropy', '1,2', '--target', long],
    ['doctor', long],
    ['doctor', '--logits', '1,2', '--did', long],
    ['doctor', '--logits', '1,2', '--did', 's - y + '.repeat(600)],
    ['doctor', '--logits', '1,2', '--grad', '1,2', '--link', long],
    ['bench', '--ops', long],
    ['bench', '--shapes', long],
    ['bench', '--backends', long],
    ['bench', '--baseline', long, '--backends', 'cpu', '--peers', 'none'],
    ['accuracy', '--ops', long],
    ['conformance', '--only', long],
    ['conformance', '--module', long],
    ['report', '--id', long],
    ['run', long],
    ['run', '--status', long],
    ['worker', '--redis', long],
  ];
  const cut = (line: readonly string[]) => line.map((argument) => argument.slice(0, 20)).join(' ');
  test.each(lines.map((line) => [cut(line), line] as const))('%s', async (_, args) => {
    const { status, stderr } = await softgrad(args);
    expect(stderr).toMatch(/^softgrad: (?!a defect).*\n$/);
    expect(stderr.length).toBeLessThan(1000);
    expect(status).toBe(2);
  });
});
