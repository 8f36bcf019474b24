import { type Backend, type BackendProvider, isSoftgradError, SoftgradError } from '@softgrad/core';
import type { BoundCase } from '@softgrad/core/conformance';
import { Command } from 'commander';
import { checkOneBackend, loadDefault } from '../backend.js';
import type { Session } from '../context.js';
import type { Machine } from '../machine.js';
import { blaming, caseLimitMs, loadModule, settled, watched } from '../module.js';
import { startLateProgress } from '../progress.js';
import { framesOf } from '../stack.js';
import { formatCalls, formatMismatch } from '../trace.js';
import { type Installed, installedVersions } from '../versions.js';
import { type BackendReport, cannotRun, described, inspectAll } from './backends.js';
import { findRequired } from './conformance.js';

interface Options {
  readonly backend?: string;
  readonly module?: string;
  readonly id?: string;
}

export function reportCommand(session: Session): Command {
  return new Command('report')
    .summary('prints a report to paste into an issue')
    .description(
      'Prints in Markdown the versions, the machine and the backends that can run on it; with --id also a case of the conformance suite with its input and, if it fails, the expected and the actual values of the worst elements and their bounds. The report contains no paths and no names.',
    )
    .option('--id <case>', 'runs this case of the conformance suite and quotes it')
    .option('--backend <name>', 'the backend for --id; default: wasm where it can run, else cpu')
    .option(
      '--module <file>',
      'the backend of a JavaScript file or a package, as for conformance: described, and used for --id',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad report
  $ softgrad report --backend cpu \\
      --id 'softmax/values:shape=7x5;axis=1;input=wide'
  $ softgrad report --module ./my-backend.js
  $ softgrad report --module ./my-backend.js \\
      --id 'vjp/values:shape=7x5;axis=1;input=wide;cotangent=uniform'`,
    )
    .action((options: Options) => run(options, session));
}

async function run(options: Options, session: Session): Promise<void> {
  const { id, backend, module } = options;
  checkOneBackend(options);
  if (id === undefined && backend !== undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `expected --id CASE to run on --backend ${backend}; \`softgrad conformance --backend ${backend}\` lists those that fail`,
    );
  }
  const cases =
    id === undefined ? [] : await watched(caseLimitMs, session, (begin) => runCases(id, options, session, begin));
  const engines = [
    ...(module === undefined ? [] : [await inspectModule(module, session)]),
    ...(await inspectAll(session)),
  ];
  // The report matters most for an engine that ends the process.
  session.exitCode = 0;
  const versions = installedVersions(session.backends.names());
  const parts = [describeMachine(session.machine(), versions), describeEngines(engines), ...cases];
  session.stdout.write(`${parts.join('\n\n')}\n`);
}

/** The backend of a module; one that does not open is reported, too. */
async function inspectModule(file: string, session: Session): Promise<BackendReport> {
  const target = await loadModule(file, session).catch((error: unknown) => {
    if (isSoftgradError(error) && error.code === 'ERR_BACKEND_UNAVAILABLE') return error;
    throw error;
  });
  if (isSoftgradError(target)) return cannotRun('of --module', target.message);
  const name = `${target.name} (--module)`;
  try {
    if (!('open' in target)) return described(name, target);
    const opened = await blaming(file, session, target.open());
    try {
      return described(name, opened);
    } finally {
      await opened.close();
    }
  } catch (error) {
    return cannotRun(name, error instanceof Error ? error.message : String(error));
  }
}

function describeMachine(machine: Machine, versions: readonly Installed[]): string {
  const packages = versions.map(({ name, version, engine }) => `${name} ${version}${inBrackets(engine)}`);
  const rows = [
    ['packages', packages.join(', ')],
    ['runtime', machine.runtime],
    ['system', machine.system],
    ['processor', machine.processor],
    ['memory', machine.memory],
  ];
  return `### softgrad report\n\n${markdownTable(['', ''], rows)}`;
}

function inBrackets(engine: readonly string[]): string {
  return engine.length > 0 ? ` (${engine.join(', ')})` : '';
}

function describeEngines(engines: readonly BackendReport[]): string {
  const rows = engines.map(({ name, unavailable, device, dtypes }) =>
    unavailable === null
      ? [name, device ?? '', dtypes.join(', ')]
      : [name, `cannot run: ${withoutFolders(unavailable)}`, ''],
  );
  return markdownTable(['engine', 'device', 'dtypes'], rows);
}

/** Of each absolute path in a text, only the last name. */
function withoutFolders(text: string): string {
  return text.replace(/(?<![\w:/.@-])(?:file:\/\/)?(?:\/|[A-Za-z]:[\\/])(?:[^\s'"`()\\/]+[\\/])+/g, '…/');
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The case with the backend's kernels and, if it can be composed, also without them. */
async function runCases(
  id: string,
  { backend, module }: Options,
  session: Session,
  begin: (step: string) => void,
): Promise<readonly string[]> {
  begin(`loading ${module ?? backend ?? 'a backend'}`);
  const target = await findTarget(backend, module, session);
  const { cases, conformance, mismatchOf, traced } = await import('@softgrad/core/conformance');
  if (!cases.some((one) => one.id === id)) throw unknownCase(id, cases);
  begin(`opening ${target.name}`);
  const opened = 'open' in target ? await blaming(module, session, target.open()) : target;
  const trace = traced(opened);
  const progress = startLateProgress(`${id} on ${opened.name}`, 1, session);
  try {
    const bound = (await conformance(trace.backend)).filter((one) => one.id === id);
    const texts: string[] = [];
    for (const one of bound) {
      progress.update(texts.length / bound.length);
      trace.clear();
      begin(one.name);
      const outcome = await outcomeOf(one, session);
      const values = mismatchOf(outcome.error);
      const frames = values === undefined ? framesOf(outcome.error) : [];
      const quotes = [
        ...(frames.length > 0 ? [fenced(frames.join('\n'))] : []),
        ...(trace.calls.length > 0 ? [fenced(formatCalls(trace.calls))] : []),
        ...(values === undefined ? [] : [fenced(formatMismatch(values, trace.calls))]),
      ];
      texts.push([`**${one.name}** ${outcome.text}`, ...quotes].join('\n\n'));
    }
    return texts;
  } finally {
    progress.stop();
    await opened.close();
  }
}

async function findTarget(
  backend: string | undefined,
  module: string | undefined,
  session: Session,
): Promise<BackendProvider | Backend> {
  if (module !== undefined) return loadModule(module, session);
  return backend === undefined ? loadDefault(session) : findRequired(backend, session.backends);
}

interface Outcome {
  readonly text: string;
  readonly error?: unknown;
}

async function outcomeOf({ skip, run: runCase }: BoundCase, session: Session): Promise<Outcome> {
  if (skip !== null) return { text: `does not apply: it ${skip}` };
  try {
    await settled(runCase(), session);
    return { text: 'passes here' };
  } catch (error) {
    return { text: `fails: ${withoutFolders(error instanceof Error ? error.message : String(error))}`, error };
  }
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}

function unknownCase(id: string, cases: readonly { readonly id: string }[]): SoftgradError {
  const most = 3;
  const similar = cases.filter((one) => one.id.startsWith(id) || one.id.includes(`/${id}`)).slice(0, most);
  const hint =
    similar.length > 0
      ? `did you mean ${similar.map((one) => `'${one.id}'`).join(', ')}?`
      : '`softgrad conformance --list` prints all of them';
  return new SoftgradError('ERR_VALUE', `unknown case '${id}' of the conformance suite; ${hint}`);
}
