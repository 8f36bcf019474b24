// Runs a command that takes seconds and shows meanwhile that it runs: a bar on a terminal, plain lines elsewhere.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Milliseconds between two drawings of the bar, and between two lines elsewhere. */
const betweenFrames = 250;
const betweenLines = 10_000;

/**
 * Runs a command, whose output is shown only if it fails, and returns its exit status.
 *
 * @param what such as 'Building'
 * @param readProgress is called with each line of the output; if the line tells how much is done, returns `{ done, total, label }`
 */
export async function step(what, command, args, { cwd, env, readProgress = () => undefined }) {
  const output = [];
  const report = startReport(what);
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      output.push(line);
      const progress = readProgress(line);
      if (progress !== undefined) report.update(progress);
    });
  }
  const { status, error } = await new Promise((resolve) => {
    child.on('error', (cause) => resolve({ status: 1, error: cause }));
    child.on('close', (code) => resolve({ status: code ?? 1 }));
  });
  report.stop(status === 0);
  if (error) console.error(`${command} did not start: ${error.message}`);
  else if (status !== 0) console.error(output.join('\n'));
  return status;
}

/**
 * Shows on standard error that a step runs, for how long, and how much of it is done.
 *
 * @param stream of which `isTTY` and `write` are used
 */
export function startReport(what, stream = process.stderr, now = Date.now) {
  const start = now();
  let progress = { done: 0, total: 0, label: '' };
  const seconds = () => `${Math.round((now() - start) / 1000)} s`;
  const line = () => {
    const { done, total, label } = progress;
    return [...(total > 0 ? [`${done} of ${total}`] : []), ...(label === '' ? [] : [label]), seconds()].join(', ');
  };
  const draw = () => stream.write(`\r\u001b[2K${frame(what, progress, line(), stream.columns || 80)}`);
  const say = () => stream.write(`${what}: ${line()}\n`);
  if (stream.isTTY) draw();
  else stream.write(`${what} …\n`);
  const timer = setInterval(stream.isTTY ? draw : say, stream.isTTY ? betweenFrames : betweenLines);
  return {
    update(next) {
      progress = { label: '', ...next };
      if (stream.isTTY) draw();
    },
    /** Ends the bar with a line that stays. */
    stop(succeeded) {
      clearInterval(timer);
      stream.write(
        `${stream.isTTY ? '\r\u001b[2K' : ''}${what}: ${succeeded ? 'done' : 'failed'} after ${seconds()}\n`,
      );
    },
  };
}

const barLength = 20;

function frame(what, { done, total }, line, columns) {
  const filled = total > 0 ? Math.round((barLength * Math.min(done, total)) / total) : 0;
  const bar = total > 0 ? ` ${'='.repeat(filled)}${'-'.repeat(barLength - filled)}` : ' …';
  return `${what}${bar} ${line}`.slice(0, columns - 1);
}
