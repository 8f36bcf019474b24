import { type FloatDType, SoftgradError } from '@softgrad/core';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** Which backend a command computes on. */
export interface BackendChoice {
  /** `wasm:threads=2` */
  readonly backend?: string;
  /** The file or the package of a backend of one's own. */
  readonly module?: string;
}

/** What every command takes that reads arrays and writes one. */
export interface FileOptions extends BackendChoice {
  readonly dtype?: FloatDType;
  readonly out?: string;
  readonly header?: TableHeader;
}

/** What every command takes that computes over rows. */
export interface OperationOptions extends FileOptions {
  readonly axis: number;
  readonly temperature: number;
  readonly mask?: string;
}

/** Help on `--module`, in full for conformance. */
export const moduleHelp = 'the backend of a JavaScript file or a package, as for conformance, instead of --backend';

/** The same for commands that compute shards, which need it wherever they are computed. */
export const moduleForShardsHelp = `${moduleHelp}; --resume and workers need it, too`;

/** Help on what a command reads in place of a file's name. */
export const filesHelp = `
Files that are read:
  .npy, .npz, .safetensors  FILE.npz:NAME picks one of several arrays
  .json                     nested lists; FILE.json:NAME picks one of an object
  .csv, .tsv                numbers in rows, with a line of names above or none
  .txt                      numbers as NumPy and PyTorch print them, or in rows
  FOLDER                    of \`softgrad run\`; FOLDER:NAME picks an array
  -                         standard input: what .txt or .json holds, or a .npy
  0,2                       the numbers themselves, with commas`;

/** Help on the formats, shown below every operation's help. */
export const formatsHelp = `${filesHelp}

--out writes the format that its ending names. Without --out the result is a
table in a terminal, and JSON in a pipe.`;

/** Adds INPUT and the options of `OperationOptions`; `axis` describes the dimension of `--axis`. */
export function withOperationOptions(command: Command, axis = 'the dimension that sums to 1'): Command {
  command
    .argument('<INPUT>', 'file with the logits')
    .addOption(new Option('--axis <n>', `${axis}; negative counts from the last`).argParser(integer).default(-1))
    .addOption(new Option('--temperature <t>', 'divides the logits; above 0').argParser(positive).default(1))
    .option(
      '--mask <file>',
      'true or 1 where an entry counts, false or 0 where it does not, of a shape that broadcasts to that of the logits',
    );
  return withFileOptions(command);
}

/** Adds the options of `FileOptions`. */
export function withFileOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--dtype <dtype>',
        "computes in this dtype; default: the file's own, float64 for text and integers; float16 is computed in float32 and rounded to where the engine lacks it",
      ).choices(['float16', 'float32', 'float64']),
    )
    .option(
      '--backend <name>',
      'engine, as `softgrad backends` lists them, also with options, as wasm:threads=2; default: wasm where it can run, else cpu',
    )
    .option('--module <file>', moduleHelp)
    .option(
      '--out <file>',
      'writes .npy, .npz, .json, .csv or .tsv; an existing file is replaced only by a whole result',
    )
    .addOption(headerOption());
}

export type TableHeader = 'yes' | 'no';

export function headerOption(): Option {
  return new Option(
    '--header <yes|no>',
    'whether the first line of tables names their columns; default: where its cells look like names',
  ).choices(['yes', 'no']);
}

export function integer(text: string): number {
  const value = decimal(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('Expected an integer.');
  return value;
}

export function positiveInteger(text: string): number {
  const value = decimal(text);
  if (!Number.isSafeInteger(value) || value <= 0) throw new InvalidArgumentError('Expected a whole number above 0.');
  return value;
}

export function positive(text: string): number {
  const value = decimal(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('Expected a finite number above 0.');
  return value;
}

/** A number in [0, 1]. */
export function fraction(text: string): number {
  const value = decimal(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return value;
}

/** The number in a text; NaN unless it is decimal, as 12, .5 or 1e-3: `Number` also reads 0x10, 0b11 and a text of spaces. */
export function decimal(text: string): number {
  return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN;
}

/** Names between commas, each once; an empty list would be a run that measures or checks nothing. */
export function list(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  const named = [...new Set(names)].filter((name) => name !== '');
  if (named.length === 0) throw new InvalidArgumentError('Expected one or more, with commas between them.');
  return named;
}

/** The same, and `none` for no name. */
export function listOrNone(text: string): readonly string[] {
  const names = list(text);
  return names.length === 1 && names[0] === 'none' ? [] : names;
}

/** Of commands that have `--root`, which it takes the place of. */
export function storeOption(): Option {
  return new Option(
    '--store <url>',
    's3://bucket/prefix instead of --root: S3-compatible object storage, with the credentials of the AWS tools',
  ).conflicts('root');
}

/** @throws ERR_VALUE for the URL of another kind of storage */
export function placeOf({ root, store = root }: { readonly root: string; readonly store?: string }): string {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(store) && !store.startsWith('s3://')) {
    throw new SoftgradError('ERR_VALUE', `${store}: expected s3://BUCKET/PREFIX, or a folder`);
  }
  return store;
}
