import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { exitDefect } from './exit-codes.js';
import { descriptor, variable, withoutWarnings } from './native-output.js';

/** Exit codes of commands that a signal ended, as shells report them. */
const ofSignals: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/** Runs a command line in another process whose standard error is filtered, and returns its exit code. */
export async function runFiltered(args: readonly string[]): Promise<number> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
    stdio: ['inherit', 'inherit', 'pipe', 2],
    env: { ...process.env, [variable]: String(descriptor) },
  });
  const write = (line: string) => writeSync(2, `${line}\n`);
  if (child.stderr) createInterface({ input: child.stderr }).on('line', withoutWarnings(write));
  // A terminal sends the signal of Ctrl-C to both processes.
  const ofTerminal = isatty(0) || isatty(2);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !ofTerminal) child.kill(signal);
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const known = signal === null ? undefined : ofSignals[signal];
      if (code === null && known === undefined) write(`softgrad: ended by ${signal}`);
      resolve(code ?? known ?? exitDefect);
    });
  });
}
