import { spawn } from 'node:child_process';
import { totalmem } from 'node:os';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { ownBackends } from './backend.js';
import type { Apart } from './context.js';
import { exitDefect, exitInput, exitPipe } from './exit-codes.js';
import { systemReason } from './files/open.js';
import { removeTemporariesOn } from './files/output.js';
import { limitsOf } from './limits.js';
import { thisMachine } from './machine.js';
import { openErrorStream } from './native-output.js';
import { reportUncaught, run } from './run.js';
import { signalsOf } from './signals.js';

const stderr = openErrorStream(process);
let ended = false;
// Do not report EPIPE: the reader, such as `| head`, has closed the pipe because it needs no more. The command is not done, so the status is not 0.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  ended = true;
  if (error.code === 'EPIPE') process.exit(exitPipe);
  stderr.write(`softgrad: standard output cannot be written: ${systemReason(error)}\n`);
  process.exit(exitInput);
});
// If nobody reads the messages, as after 2>&1 | head, the exit code is still right.
process.stderr.on('error', () => {});
const signals = signalsOf(process);
removeTemporariesOn(signals);
process.on('uncaughtException', (error) => {
  const status = reportUncaught(error, { stderr, env: process.env });
  ended = true;
  signals.cleanUp();
  process.exit(status);
});
// With 0 a check would pass, because it did not run, and with 1 it would have failed. Statuses from 128 on are those of signals, and 13 is that of Node for an await
// that never ends.
process.on('exit', (status) => {
  if (ended || status === 13 || status > 128) return;
  signals.cleanUp();
  stderr.write('softgrad: ended by process.exit, which the code of a module called, before the command was done\n');
  process.exitCode = exitInput;
});

function apart(args: readonly string[], onLine: (line: string) => void): Promise<Apart> {
  const command = [...process.execArgv, fileURLToPath(new URL('./main.js', import.meta.url)), ...args];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
  createInterface({ input: child.stdout }).on('line', onLine);
  const errors = text(child.stderr);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const status = code ?? exitDefect;
      const cause = signal ?? `exit status ${status}`;
      resolve(errors.then((written) => ({ status, cause, stderr: written })));
    });
  });
}

const exitCode = await run(process.argv.slice(2), {
  stdin: () => process.stdin,
  stdout: process.stdout,
  stderr,
  env: process.env,
  limits: limitsOf(process.constrainedMemory?.() ?? 0, totalmem()),
  backends: ownBackends,
  apart,
  machine: () => thisMachine(process),
  onInterrupt: signals.interrupt,
  async watchdog(limitMs) {
    if (!process.features.inspector) return null;
    const { startWatchdog } = await import('./watchdog.js');
    return startWatchdog(limitMs);
  },
  now: () => performance.now(),
  after(milliseconds, listener) {
    const timer = setTimeout(listener, milliseconds).unref();
    return () => clearTimeout(timer);
  },
  onIdle(listener) {
    process.once('beforeExit', listener);
    return () => process.off('beforeExit', listener);
  },
});
ended = true;
// Set instead of calling process.exit, because output to a pipe may not be written yet.
if (exitCode !== 0) process.exitCode = exitCode;
