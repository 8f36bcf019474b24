import { writeSync } from 'node:fs';
import { type Debugger, Session } from 'node:inspector';
import { isatty } from 'node:tty';
import { workerData } from 'node:worker_threads';
import { framesOf } from './stack.js';
import type { Watched } from './watchdog.js';

// The thread of a watchdog: watches whether the main thread begins another step or comes back to its event loop.

const { limitMs, canPause, state, step } = workerData as Watched;

/** How often it looks. Only these times count: while the process is stopped, as by Ctrl-Z, none passes. */
const lookMs = 250;
/** For the timer of the main thread, which fails a step that waits for a promise. */
const graceMs = 500;
/** For the main thread to be paused and to end. */
const patienceMs = 2000;

const neverChanges = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
let seen = -1;
for (let blockedMs = 0; blockedMs < limitMs + graceMs; ) {
  Atomics.wait(neverChanges, 0, 0, lookMs);
  const beats = Atomics.load(state, 0);
  blockedMs = beats === seen ? blockedMs + lookMs : 0;
  seen = beats;
}
endProcess();

function endProcess(): void {
  // Where the main thread cannot be paused, as in a native library.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), patienceMs);
  const name = new TextDecoder().decode(step.slice(0, Atomics.load(state, 1)));
  // On a terminal, in place of the progress bar.
  const start = isatty(2) ? '\r\u001b[K' : '';
  const causes = 'an endless loop in the backend, or it needs a longer limit (softgrad conformance --timeout SECONDS)';
  write(`${start}softgrad: ${name} did not return within ${limitMs / 1000} s, so the command ends here: ${causes}\n`);
  if (!canPause) return;
  try {
    exitMainThread();
  } catch {
    // Bun and Deno cannot, either.
  }
}

/** Pauses the main thread, writes where it is, and ends the process from there: only the main thread can choose the exit code. */
function exitMainThread(): void {
  const session = new Session();
  session.connectToMainThread();
  const files = new Map<string, string>();
  session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url));
  session.on('Debugger.paused', ({ params }) => {
    for (const frame of framesOf(thrownAt(params.callFrames, files))) write(`  ${frame}\n`);
    const [frame] = params.callFrames;
    if (frame === undefined) return;
    // Standard error is closed because Node would write to it that it waits for this session to end.
    const expression = "process.getBuiltinModule('node:fs').closeSync(2); process.reallyExit(1)";
    session.post('Debugger.evaluateOnCallFrame', { callFrameId: frame.callFrameId, expression });
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}

function write(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // If nobody reads the messages, the exit code is still right.
  }
}

/** An error as if thrown at these frames. */
function thrownAt(frames: readonly Debugger.CallFrame[], files: ReadonlyMap<string, string>): Error {
  const lines = frames.map(({ functionName, location: { scriptId, lineNumber, columnNumber = 0 } }) => {
    const place = `${files.get(scriptId)}:${lineNumber + 1}:${columnNumber + 1}`;
    return functionName === '' ? `    at ${place}` : `    at ${functionName} (${place})`;
  });
  return Object.assign(new Error(), { stack: ['Error', ...lines].join('\n') });
}
