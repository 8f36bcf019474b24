import { inspect as format } from 'node:util';
import { type Backend, type Computed, isSoftgradError, operationsOf, SoftgradError, shortened } from '@softgrad/core';
import { Command, Option } from 'commander';
import { checkNoModule } from '../backend.js';
import type { Apart, Backends, Session } from '../context.js';
import { exitDefect } from '../exit-codes.js';
import { missingPermission } from '../permission.js';
import { startLateProgress } from '../progress.js';
import { formatWrapped } from '../table.js';

/** The state of a backend on this machine. */
export interface BackendReport {
  readonly name: string;
  /** Null if it can run, else why not and what to do. */
  readonly unavailable: string | null;
  readonly device: string | null;
  readonly dtypes: readonly string[];
  /** For each operation: a kernel, composed from the basis, or missing. */
  readonly operations: Readonly<Record<string, Computed>>;
}

export function backendsCommand(session: Session): Command {
  return new Command('backends')
    .summary('lists the backends and whether they can run here')
    .description(
      'Lists every backend: whether it can run here, its dtypes and its device, and if it cannot run, why and what to do.',
    )
    .argument('[NAMES...]', 'only these backends, with their operations; default: all')
    .option('--details', 'which operations are kernels of the backend, and which are composed')
    .option('--json', 'prints JSON, with the operations')
    .addOption(new Option('--inspect <names...>').hideHelp())
    .addHelpText(
      'after',
      `
An operation without a kernel is composed from the backend's basis: slower, with
the same meaning.

Examples:
  $ softgrad backends
  $ softgrad backends wasm
  $ softgrad backends --json`,
    )
    .action((chosen: readonly string[], options: Options) => run(chosen, options, session));
}

async function run(
  chosen: readonly string[],
  { json, details = chosen.length > 0, inspect: names }: Options,
  session: Session,
): Promise<void> {
  const { stdout, backends } = session;
  if (names !== undefined) {
    for (const name of names) stdout.write(`${JSON.stringify(await inspect(name, session))}\n`);
    return;
  }
  const reports = await inspectAll(session, chosen.length > 0 ? known(chosen, backends) : backends.names());
  if (json) stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
  else if (details) stdout.write(`${formatDetails(reports, stdout.columns)}\n`);
  else stdout.write(`${formatReports(reports, stdout.columns)}\n\n${advice}\n`);
}

const advice = 'With their operations: softgrad backends --details, or names, as softgrad backends cpu';

/** @throws ERR_VALUE unless all of them are names of backends, without options */
function known(chosen: readonly string[], backends: Backends): readonly string[] {
  const names = backends.names();
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown === undefined) return names.filter((name) => chosen.includes(name));
  checkNoModule('backends', [unknown], 'no modules');
  throw new SoftgradError('ERR_VALUE', `no backend is named '${shortened(unknown)}'; expected ${names.join(', ')}`);
}

interface Options {
  readonly details?: boolean;
  readonly json?: true;
  /** Prints a line of JSON for each of these backends. Nothing catches what native libraries print. */
  readonly inspect?: readonly string[];
}

/**
 * Inspects in another process, because native libraries print warnings to standard error if a driver is missing, and the report says the
 * same in words. A backend that ends this process is reported as one that cannot run, and the next ones are inspected in a new process.
 */
export async function inspectAll(
  session: Session,
  names: readonly string[] = session.backends.names(),
): Promise<readonly BackendReport[]> {
  const { env, notices, stderr } = session;
  let { apart } = session;
  const reports: BackendReport[] = [];
  const printed: string[] = [];
  const progress = startLateProgress(`inspecting ${names[0]}`, names.length, session);
  const add = (report: BackendReport) => {
    reports.push(report);
    progress.update(reports.length, `inspecting ${names[reports.length] ?? report.name}`);
  };
  try {
    while (reports.length < names.length) {
      const rest = names.slice(reports.length);
      if (apart === undefined) {
        for (const name of rest) add(await inspect(name, session));
        break;
      }
      const ended = await inspectApart(apart, rest, add);
      if (typeof ended === 'string') {
        notices.push(`the backends were opened in this process: ${ended}`);
        apart = undefined;
        continue;
      }
      if (ended.status !== 0 || env.SOFTGRAD_DEBUG) printed.push(ended.stderr);
      if (ended.status !== 0) session.exitCode = ended.status;
      const next = names[reports.length];
      if (next === undefined) break;
      add(cannotRun(next, `the process that opened it ended by ${ended.cause}; see standard error`));
    }
  } finally {
    progress.stop();
  }
  stderr.write(printed.join(''));
  return reports;
}

/** How the other process ended, or why Node did not start it. */
async function inspectApart(
  apart: NonNullable<Session['apart']>,
  names: readonly string[],
  add: (report: BackendReport) => void,
): Promise<Apart | string> {
  try {
    return await apart(['backends', '--inspect', ...names], (line) => add(JSON.parse(line)));
  } catch (error) {
    const denied = missingPermission(error);
    if (denied === null) throw error;
    return denied;
  }
}

/** One backend, opened here. Where it throws what no backend should, the exit code is that of a defect, too. */
async function inspect(name: string, session: Session): Promise<BackendReport> {
  try {
    const provider = await session.backends.load(name);
    const reason = await provider.unavailable();
    if (reason !== null) return cannotRun(name, reason);
    const backend = await provider.open();
    try {
      return described(name, backend);
    } finally {
      await backend.close();
    }
  } catch (error) {
    const reason = isSoftgradError(error) ? error.message : missingPermission(error);
    if (reason !== null) return cannotRun(name, reason);
    session.exitCode = exitDefect;
    if (session.env.SOFTGRAD_DEBUG) session.stderr.write(`${format(error)}\n`);
    return cannotRun(name, `it could not be opened: ${error}`);
  }
}

/** What an open backend says of itself. */
export function described(name: string, backend: Backend): BackendReport {
  const { device, dtypes } = backend.supports;
  return { name, unavailable: null, device, dtypes, operations: operationsOf(backend) };
}

export function cannotRun(name: string, unavailable: string): BackendReport {
  return { name, unavailable, device: null, dtypes: [], operations: {} };
}

/** What chooses an engine. */
function formatReports(reports: readonly BackendReport[], columns: number | undefined): string {
  const rows = reports.map((report) => [...state(report), report.unavailable ?? operations(report, ['missing'])]);
  return formatted('device, or what is missing', rows, columns);
}

function formatDetails(reports: readonly BackendReport[], columns: number | undefined): string {
  const all = ['kernel', 'composed', 'missing'] as const;
  const rows = reports.map((report) => [...state(report), report.unavailable ?? operations(report, all)]);
  return formatted('device and operations, or what is missing', rows, columns);
}

function state({ name, unavailable, dtypes }: BackendReport): readonly string[] {
  return [name, unavailable === null ? 'yes' : 'no', dtypes.join('\n')];
}

/** Narrow enough for a terminal, wide enough for a reason. */
function formatted(last: string, rows: readonly (readonly string[])[], columns: number | undefined): string {
  const width = Math.min(Math.max(columns ?? 120, 80), 140);
  return formatWrapped(['backend', 'runs here', 'dtypes', last], rows, [10, 11, 11, width - 10 - 11 - 11 - 5]);
}

function operations(report: BackendReport, shown: readonly Computed[]): string {
  const lines = [report.device ?? ''];
  for (const how of shown) {
    const names = namesOf(report, how);
    if (names !== '') lines.push(`${labels[how]}: ${names}`);
  }
  return lines.join('\n');
}

/** The functions that are computed in the same way, as `softmax (value, vjp, jacobian), logSumExp (gradient)`. */
function namesOf({ operations }: BackendReport, how: Computed): string {
  const members = new Map<string, string[]>();
  for (const [operation, computed] of Object.entries(operations)) {
    if (computed !== how) continue;
    const [name = '', member = 'value'] = operation.split('.');
    members.set(name, [...(members.get(name) ?? []), member]);
  }
  return [...members].map(([name, list]) => `${name} (${list.join(', ')})`).join(', ');
}

const labels: Readonly<Record<Computed, string>> = { kernel: 'kernels', composed: 'composed', missing: 'not there' };
