import { isSoftgradError, type NdArrayLike, SoftgradError } from '@softgrad/core';
import type { DiagnoseInput, Diagnosis, KnownExpression, Layer } from '@softgrad/doctor';
import { placeOf, type RowReader, sizeOf } from '@softgrad/formats';
import { Command, Option } from 'commander';
import type { OutputStream, Session } from '../context.js';
import { openOperand } from '../files/open.js';
import { checkHeader, checkStandardInput, headerAdvice, readWatched } from '../operands.js';
import { fraction, headerOption, integer, positive, type TableHeader } from '../options.js';
import { pageOf, playgroundLink, servedHere } from '../playground-link.js';
import { startLateProgress } from '../progress.js';
import { formatProse, wrapLine } from '../table.js';

interface Options {
  readonly logits?: string;
  readonly probs?: string;
  readonly grad?: string;
  readonly did?: string;
  readonly upstream?: string;
  readonly target?: string;
  readonly axis: number;
  readonly temperature?: number;
  readonly reduction?: NonNullable<DiagnoseInput['reduction']>;
  readonly layer?: Layer;
  readonly mask?: string;
  readonly weight?: string;
  readonly labelSmoothing?: number;
  readonly ignoreIndex?: number;
  readonly header?: TableHeader;
  readonly list?: boolean;
  readonly json?: boolean;
  readonly link?: string | true;
}

/** Core's name for each file's array, and the option with which it is given. */
const files = [
  { name: 'logits', option: 'logits', flag: '--logits' },
  { name: 'probabilities', option: 'probs', flag: '--probs' },
  { name: 'gradient', option: 'grad', flag: '--grad' },
  { name: 'upstream', option: 'upstream', flag: '--upstream' },
  { name: 'target', option: 'target', flag: '--target' },
  { name: 'mask', option: 'mask', flag: '--mask' },
  { name: 'weight', option: 'weight', flag: '--weight' },
] as const;

const layers = ['softmax', 'log-softmax', 'sigmoid', 'cross-entropy'] as const satisfies readonly Layer[];

type ArrayName = (typeof files)[number]['name'];
type Arrays = Partial<Record<ArrayName, NdArrayLike>>;

export function doctorCommand(session: Session): Command {
  return (
    new Command('doctor')
      .summary('finds the mistake in a gradient that you computed')
      .description(
        'Reports which known mistake explains a softmax gradient, or that it is right or saturated: what the numbers are, why, and what to write instead.',
      )
      .option('--logits <file>', 'the input of the softmax, (n, f)')
      .option('--probs <file>', 'the output of the softmax, in place of --logits')
      .option('--grad <file>', 'the gradient in question, (n, f) or (n, f, f)')
      .option('--did <expression>', 'its code, as "J.sum(axis=1)"; needs no files')
      .option('--upstream <file>', '∂L/∂s from the loss, of the shape of the logits')
      .option('--target <file>', "the loss's class indices from 0, or probabilities")
      .addOption(new Option('--axis <n>', 'the dimension that sums to 1').argParser(integer).default(-1))
      .addOption(new Option('--temperature <t>', 'divides the logits; above 0; default: any').argParser(positive))
      .addOption(
        new Option('--reduction <how>', 'of the losses of the rows; default: any').choices(['mean', 'sum', 'none']),
      )
      .addOption(new Option('--layer <name>', 'default: a softmax or the cross-entropy of logits').choices(layers))
      .option('--mask <file>', '1 to keep an entry, 0 to mask it; is broadcast')
      .addOption(new Option('--label-smoothing <e>', 'ε of the cross-entropy; default: any').argParser(fraction))
      .option('--weight <file>', "the cross-entropy's weights, one for each class")
      .addOption(new Option('--ignore-index <n>', 'class index of rows to ignore; default: -100').argParser(integer))
      .addOption(headerOption())
      .addOption(
        new Option('--list', 'the expressions that --did knows; also with --json').conflicts([
          ...files.map(({ option }) => option),
          ...['did', 'axis', 'temperature', 'reduction', 'layer', 'labelSmoothing', 'ignoreIndex', 'header', 'link'],
        ]),
      )
      .option('--json', 'the diagnosis as JSON: verdict, matches, why, …')
      .addHelpText(
        'after',
        `
Examples:
  $ softgrad doctor --logits logits.npy --grad grad.npy --upstream upstream.npy
  $ softgrad doctor --probs probs.csv --grad grad.csv --target labels.csv
  $ softgrad doctor --did 'J.sum(axis=1)'
  $ echo '[[2.8e-17, 0, 0]]' | softgrad doctor --probs p.json --grad - --json

Files are .npy, .npz, .safetensors, .json, .csv, .tsv or .txt, or - for text on
standard input; FILE.npz:name picks an array, also of .safetensors and .json.

In --did s are the probabilities, x the logits, g the upstream gradient, y the
one-hot target and J the Jacobian, under these or other usual names. Other code,
in Python or TypeScript, also of a loss, is run with made-up numbers.

Exit code 0: a diagnosis, which may be 'ambiguous' (several explanations fit) or
'unknown' (none does): see .verdict of --json. 2: wrong input or options.`,
      )
      .option('--link [url]', `also a link (with --json, its field link) to the playground; default: ${servedHere}`)
      .usage('[options] --logits <file> --grad <file>\n       softgrad doctor [options] --did <expression>')
      // Accepted only to report which option each file needs, instead of too many arguments.
      .argument('[files...]')
      .action(async (nameless: readonly string[], options: Options) => {
        if (nameless.length > 0) throw namelessFiles(nameless, options);
        // Not loaded by other commands, of which it would take a quarter of the start.
        const { diagnose, knownExpressions } = await import('@softgrad/doctor');
        const { diagnoseCode } = await import('@softgrad/doctor/code');
        if (options.list) {
          const known = knownExpressions();
          session.stdout.write(
            options.json ? `${JSON.stringify(known, null, 2)}\n` : `${listOf(known, session.stdout)}\n`,
          );
          return;
        }
        const page = typeof options.link === 'string' ? pageOf(options.link) : servedHere;
        const { arrays, readers } = await readFiles(options, session);
        const { did, axis, temperature, reduction, layer, labelSmoothing, ignoreIndex } = options;
        const gradient = did ?? arrays.gradient;
        if (gradient === undefined) {
          throw new SoftgradError('ERR_VALUE', 'doctor: no gradient; expected --grad FILE, or --did EXPRESSION');
        }
        if (did !== undefined && arrays.gradient !== undefined) {
          throw new SoftgradError('ERR_VALUE', 'doctor: both --grad and --did; expected one of them');
        }
        const question = { ...arrays, gradient, axis, temperature, reduction, layer, labelSmoothing, ignoreIndex };
        const bytes = 8 * Object.values(arrays).reduce((sum, { data }) => sum + data.length, 0);
        const progress = startLateProgress('comparing', 1, session, bytes);
        let diagnosis: Diagnosis;
        try {
          diagnosis = inFlags(
            naming(readers, () =>
              did === undefined
                ? diagnose(question, { onProgress: (share) => progress.update(share) })
                : diagnoseCode({ ...question, gradient: did }),
            ),
          );
        } finally {
          progress.stop();
        }
        const { text, ...fields } = diagnosis;
        const link = options.link === undefined ? undefined : playgroundLink(page, question);
        if (link === null) session.notices.push('no link: these are more numbers than a link can hold');
        if (options.json) session.stdout.write(`${JSON.stringify({ ...fields, link }, null, 2)}\n`);
        else session.stdout.write(`${formatDiagnosis(text, session.stdout)}\n`);
        if (link && !options.json) session.stdout.write(`\nIn the playground\n  ${link}\n`);
      })
  );
}

/** The text of a diagnosis, of which the lines of code, at its end, are not wrapped. */
function formatDiagnosis(text: string, stdout: OutputStream): string {
  const code = text.search(/^ {2}TypeScript /m);
  return `${formatProse(text.slice(0, code), stdout)}${text.slice(code)}`;
}

/** An expression, or files, without an option: the roles of files are unknown, so the example uses the most likely order, logits and gradient. */
function namelessFiles(args: readonly string[], options: Options): SoftgradError {
  const [expression = ''] = args;
  if (args.length === 1 && /[()*@]/.test(expression)) {
    const quote = expression.includes("'") ? '"' : "'";
    return new SoftgradError(
      'ERR_VALUE',
      `doctor: ${expression} without an option; expected --did ${quote}${expression}${quote}`,
    );
  }
  const signal = options.logits ?? options.probs;
  const free = [...(signal === undefined ? ['--logits'] : []), ...(options.grad === undefined ? ['--grad'] : [])];
  const named = free.map((flag, k) => `${flag} ${args[k] ?? 'FILE'}`);
  const example = args.length <= free.length ? `, for example ${named.join(' ')}` : '';
  return new SoftgradError(
    'ERR_VALUE',
    `doctor: ${args.join(' ')} without an option; expected --logits FILE --grad FILE${example}`,
  );
}

/** The expressions, grouped by their diagnosis, and in it by their condition, which is a comment above them. */
function listOf(known: readonly KnownExpression[], stdout: OutputStream): string {
  return groupsOf(known, ({ id }) => id)
    .map(([id, ofOne]) => {
      const lines = groupsOf(ofOne, ({ caveat }) => caveat).flatMap(([caveat, some]) => [
        ...(caveat === null ? [] : [commented(caveat, stdout)]),
        ...some.map(({ expression }) => `  ${expression}`),
      ]);
      return [id, ...lines].join('\n');
    })
    .join('\n');
}

function commented(text: string, { isTTY, columns }: OutputStream): string {
  const sign = '  # ';
  const width = Math.max(1, (columns || 80) - sign.length);
  const lines = isTTY ? wrapLine(text, width) : text;
  return lines.replace(/^/gm, sign);
}

/** What has the same key, in the order of the first of each; null first. */
function groupsOf<T, Key>(all: readonly T[], keyOf: (one: T) => Key): readonly (readonly [Key, readonly T[]])[] {
  const groups = new Map<Key, T[]>();
  for (const one of all.toSorted((a, b) => Number(keyOf(a) !== null) - Number(keyOf(b) !== null))) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups];
}

/** The arrays of all files, and their readers, which know the lines of tables. */
interface ReadFiles {
  readonly arrays: Arrays;
  readonly readers: ReadonlyMap<ArrayName, RowReader>;
}

async function readFiles(options: Options, session: Session): Promise<ReadFiles> {
  const given = files.flatMap(({ name, option, flag: label }) => {
    const file = options[option];
    return file === undefined ? [] : [{ name, label, file }];
  });
  checkStandardInput(given);
  const arrays: Arrays = {};
  const readers = new Map<ArrayName, RowReader>();
  for (const { name, label, file } of given) {
    const table = { header: options.header, headerAdvice, booleans: name === 'mask' };
    const reader = await openOperand(label, file, session, table);
    readers.set(name, reader);
    try {
      const { data, shape } = await readWatched(reader, 'pass fewer rows: any of them shows the mistake', session);
      // A .csv always has two dimensions: a list of labels is its only column or row.
      const [height, width = 1] = shape;
      const list = name === 'target' && shape.length === 2 && height === 1 && width > 1;
      const rows = arrays.logits?.shape ?? arrays.probabilities?.shape;
      const labels = list && rows !== undefined && sizeOf(rows) !== sizeOf(shape);
      arrays[name] = { data, shape: labels ? [width] : shape };
    } finally {
      await reader.close();
    }
  }
  checkHeader(options.header, [...readers.values()]);
  return { arrays, readers };
}

/** The command's names of the options that `diagnose` names between backticks. */
const flags: Readonly<Record<string, string>> = {
  labelSmoothing: '--label-smoothing',
  weight: '--weight',
  ignoreIndex: '--ignore-index',
  mask: '--mask',
  reduction: '--reduction',
  upstream: '--upstream',
  target: '--target',
  layer: '--layer',
};

/** The diagnosis with the options in its sentences spelled as those of the command. */
function inFlags(diagnosis: Diagnosis): Diagnosis {
  const spelled = (text: string) =>
    text.replace(/`(\w+)(?:: '(\w+)')?`/g, (whole, name: string, value?: string) =>
      flags[name] === undefined ? whole : [flags[name], ...(value === undefined ? [] : [value])].join(' '),
    );
  const { evidence } = diagnosis;
  const notes = evidence.notes.map(spelled);
  const why = spelled(diagnosis.why);
  const changed = [
    ...evidence.notes.map((note, k) => [note, notes[k] ?? note] as const),
    [diagnosis.why, why] as const,
  ];
  const text = changed.reduce((all, [note, own]) => all.replace(note, () => own), diagnosis.text);
  return { ...diagnosis, evidence: { ...evidence, notes }, why, text };
}

/** Errors of `diagnose` name `gradient` and its entries; here that is a file, and the entries of a table have a line. */
function naming<T>(readers: ReadFiles['readers'], run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    const message = error.message
      .replace('diagnose: ', '')
      .replace('(option axis,', '(--axis,')
      .replace(/\b(?:ignoreIndex|labelSmoothing)\b/g, (name) => flags[name] ?? name);
    const named = files.find(({ name }) => message.startsWith(name));
    const reader = named && readers.get(named.name);
    const about = reader ? `${named.flag} ${reader.name}: ${withLine(message, reader)}` : `doctor: ${message}`;
    throw new SoftgradError(error.code, about, { cause: error });
  }
}

/** The message with the line and the column of an entry, for `target entry 2 is 7` and `logits[2][0] is NaN`, if the file is a table. */
function withLine(message: string, reader: RowReader): string {
  if (reader.lineOf === undefined) return message;
  const width = reader.shape[1] ?? 1;
  return message.replace(
    /^\w+ entry (\d+)|(?:^\w+)?\[(\d+)\](?:\[(\d+)\])?/,
    (_, entry?: string, first?: string, second?: string) => {
      const index = second === undefined ? Number(entry ?? first) : Number(first) * width + Number(second);
      return placeOf(reader, index, [Number.MAX_SAFE_INTEGER, width]);
    },
  );
}
