import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { isatty, WriteStream } from 'node:tty';
import type { OutputStream } from './context.js';

/** In the process of a command whose standard error is filtered: the file descriptor of the unfiltered one. */
export const variable = 'SOFTGRAD_STDERR';
export const descriptor = 3;

/**
 * Whether a command line may open webgpu in this process. Its native library writes warnings to standard error, for instance about a missing
 * driver, which the command's own messages explain in words.
 */
export function mayOpenWebgpu([command = '', ...args]: readonly string[]): boolean {
  // This command opens engines in other processes.
  if (command === 'backends') return false;
  const names = args.flatMap((argument) => argument.split(/[=,:\s]/));
  if (names.includes('webgpu')) return true;
  const many = ['accuracy', 'bench', 'conformance'].includes(command);
  const byDefault = command === 'accuracy' || command === 'bench';
  return many && (names.includes('all') || (byDefault && !names.includes('--backends')));
}

/** A line of the native library that is no error; those after it that say where it comes from are indented, and the last one may be blank. */
const warning = /^(?:Warning|Info|Debug): /;

/** Whether the process with this environment is one whose standard error is filtered. */
export function isFiltered(env: NodeJS.ProcessEnv): boolean {
  return env[variable] === String(descriptor);
}

/** Passes on the lines of standard error that are not warnings of the native library. */
export function withoutWarnings(pass: (line: string) => void): (line: string) => void {
  let inWarning = false;
  return (line) => {
    if (warning.test(line)) inWarning = true;
    else if (inWarning && /^\s+at /.test(line)) return;
    else if (inWarning && line === '') inWarning = false;
    else {
      inWarning = false;
      pass(line);
    }
  };
}

/** The standard error for messages and bars; on first use, in a process whose own is filtered, the one that the filter does not see. */
export function openErrorStream(process: Pick<NodeJS.Process, 'env' | 'stderr'>): OutputStream {
  const filtered = isFiltered(process.env);
  // Processes that this one starts have no such descriptor.
  delete process.env[variable];
  if (!filtered) return process.stderr;
  if (isatty(descriptor)) return new WriteStream(descriptor);
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (let at = 0; at < chunk.length; ) at += writeSync(descriptor, chunk, at);
      done();
    },
  });
}
