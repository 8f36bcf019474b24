// Makes src/worker.generated.ts: the worker of threads and what it imports as one script, in a string.
//
//   node scripts/build-worker.mjs           from src/softgrad-worker.ts
//   node scripts/build-worker.mjs --check   compares what is committed with what the source gives
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'vite';
import { argumentsOf } from '../../../scripts/arguments.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const generated = fileURLToPath(new URL('../src/worker.generated.ts', import.meta.url));

/** The text of src/worker.generated.ts, which is JavaScript too. */
export async function embeddedWorker() {
  const [{ output }] = await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      lib: { entry: 'src/softgrad-worker.ts', formats: ['iife'], name: 'worker', fileName: 'worker' },
    },
  });
  const source = output[0].code.trim();
  return [
    '// Made by scripts/build-worker.mjs from src/softgrad-worker.ts: do not edit.\n',
    '/** A thread: a script without imports, which runs as a module, as a classic script and in worker_threads. */',
    `export const workerSource =\n  ${quoted(source)};\n`,
  ].join('\n');
}

function quoted(text) {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = argumentsOf(import.meta.url, { options: { check: { type: 'boolean', default: false } } });
  const text = await embeddedWorker();
  if (!values.check) writeFileSync(generated, text);
  else if (readFileSync(generated, 'utf8') !== text) {
    throw new Error('src/worker.generated.ts is not what src/softgrad-worker.ts gives: node scripts/build-worker.mjs');
  }
}
