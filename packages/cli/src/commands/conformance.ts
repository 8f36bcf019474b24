import { type Backend, type BackendProvider, isSoftgradError, SoftgradError } from '@softgrad/core';
import type { BoundCase, CaseReport, ConformanceCase, ConformanceReport } from '@softgrad/core/conformance';
import { Command, Option } from 'commander';
import { checkNoModule, checkOneBackend, loadDefault, loadWithOptions, moduleAdvice, withAll } from '../backend.js';
import { commonCauses, firstToFix, lastingFailure } from '../conformance-advice.js';
import { spread, watchTime } from '../conformance-cost.js';
import { type Part, partOf } from '../conformance-part.js';
import type { Backends, Session } from '../context.js';
import { blaming, caseLimitMs, loadModule, settled, watched } from '../module.js';
import { list, positive } from '../options.js';
import { startProgress } from '../progress.js';
import { summariseSkips } from '../skips.js';
import { framesOf, stackOf } from '../stack.js';
import { formatProse, formatTable } from '../table.js';

interface Options {
  readonly backend?: readonly string[];
  readonly module?: string;
  readonly only?: readonly string[];
  readonly list?: true;
  readonly timeout?: number;
  readonly json?: true;
  readonly all?: true;
}

/** A case that failed also has its stack, unless it compared numbers. */
interface Reported extends CaseReport {
  readonly stack?: string;
  /** Where it was thrown in files that are not softgrad's own. */
  readonly frames?: readonly string[];
}

interface Report extends ConformanceReport {
  readonly cases: readonly Reported[];
  /** The id of the case from which on the backend did nothing, in the order in which the cases ran, and how many others failed. */
  readonly lasting?: { readonly id: string; readonly more: number };
}

export function conformanceCommand(session: Session): Command {
  return new Command('conformance')
    .summary('checks a backend with the conformance suite')
    .description(
      'Runs the conformance suite on a backend of softgrad or on your own: every case that applies to the features that the backend announces, both with its fused kernels and without them. The exit code is 1 if a case fails.',
    )
    .option(
      '--backend <list>',
      'names of backends, also with options, as wasm:threads=2; all stands for every one that can run here; default: wasm where it can run, else cpu',
      list,
    )
    .option(
      '--module <file>',
      'a JavaScript file or the name of an installed package that exports a provider or an open backend, as default export or as its only provider',
    )
    .option(
      '--only <list>',
      "runs only these sections, as vjp, or the cases with this text in their id, as dtype=float64, or as '*vjp*' where a section has that name; can be repeated",
      parts,
    )
    .addOption(
      new Option(
        '--list',
        'prints the ids of all cases, or of those of --only, instead of running them; with --module, of those that apply to its backend',
      ).conflicts(['backend', 'timeout', 'all']),
    )
    .addOption(
      new Option(
        '--timeout <seconds>',
        'time limit of a case; one that waits longer fails, one that does not return ends the command; default: 120',
      ).argParser(positive),
    )
    .option('--all', 'prints every failure instead of the first few of each section')
    .option('--json', 'prints every case as JSON; also with --list')
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad conformance --backend all
  $ softgrad conformance --module ./my-backend.js
  $ softgrad conformance --module ./my-backend.js --only vjp,jacobian
  $ softgrad conformance --backend cpu,wasm --only dtype=float64
  $ softgrad conformance --list --only cross-entropy
  $ softgrad conformance --backend cpu --json > conformance.json`,
    )
    .action(async (options: Options) => {
      checkOneBackend(options);
      // Import the suite on demand: it is large, and only this command needs it.
      const { cases } = await import('@softgrad/core/conformance');
      const part = options.only && partOf(options.only, cases);
      session.notices.push(...(part?.notices ?? []));
      if (options.list) {
        const some = options.module === undefined ? cases : await applying(options.module, session);
        session.stdout.write(listed(part ? some.filter(part.has) : some, options));
        return;
      }
      const reports = await watched(limitOf(options), session, (begin) => runSuites(options, part, session, begin));
      if (options.json) session.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
      if (reports.some(({ cases }) => count(cases, 'failed') > 0)) session.exitCode = 1;
    });
}

/** Runs the suites one after another, and prints each report when it is there unless they are printed as JSON. */
async function runSuites(
  options: Options,
  part: Part | undefined,
  session: Session,
  begin: (step: string) => void,
): Promise<readonly Report[]> {
  const { module } = options;
  const debug = Boolean(session.env.SOFTGRAD_DEBUG);
  const reports: Report[] = [];
  begin(`loading ${module ?? 'the backends'}`);
  for (const target of await findTargets(options, session)) {
    const report =
      'reason' in target ? unavailableReport(target) : await runSuite(target, part, options, session, begin);
    reports.push(report);
    const source = module === undefined ? `--backend ${target.name}` : `--module ${quoted(module)}`;
    const prose = (text: string) => formatProse(text, session.stdout);
    if (!options.json) session.stdout.write(formatReport(report, { ...options, debug, prose, source }));
  }
  return reports;
}

/** The time limit of a case in milliseconds. */
function limitOf({ timeout }: Options): number {
  return timeout === undefined ? caseLimitMs : timeout * 1000;
}

/** A file's name as an argument of a shell. */
function quoted(file: string): string {
  return /^[\w./:\\-]+$/.test(file) ? file : `'${file.replaceAll("'", `'\\''`)}'`;
}

/** The values of `--only`, each of which may be several. */
function parts(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...list(text)];
}

/** The cases that apply to a module's backend, each once. */
async function applying(file: string, session: Session): Promise<readonly BoundCase[]> {
  const { conformance } = await import('@softgrad/core/conformance');
  const target = await loadModule(file, session);
  const suite = await blaming(file, session, conformance(target, { required: true, composed: false }));
  // The last case closes the backend.
  await settled(suite.at(-1)?.run() ?? Promise.resolve(), session).catch(() => {});
  return suite.filter(applies);
}

function listed(cases: readonly Pick<ConformanceCase, 'id' | 'section'>[], { json }: Options): string {
  if (json)
    return `${JSON.stringify(
      cases.map(({ id, section }) => ({ id, section })),
      null,
      2,
    )}\n`;
  return cases.map(({ id }) => `${id}\n`).join('');
}

interface Unavailable {
  readonly name: string;
  readonly reason: string;
}

type Target = BackendProvider | Backend | Unavailable;

async function findTargets({ backend, module }: Options, session: Session): Promise<readonly Target[]> {
  if (module !== undefined) return [await loadModule(module, session)];
  const { backends } = session;
  if (backend === undefined) return [await loadDefault(session)];
  const named = backend.filter((name) => name !== 'all');
  const others = withAll(backend, backends).filter((name) => !named.includes(name));
  return Promise.all([
    ...named.map((name) => findRequired(name, backends)),
    ...others.map((name) => findAvailable(name, backends)),
  ]);
}

/** For `--backend all`: a backend that cannot run here is listed with the reason. */
async function findAvailable(name: string, backends: Backends): Promise<BackendProvider | Unavailable> {
  try {
    const provider = await loadWithOptions(name, backends);
    const reason = await provider.unavailable();
    return reason === null ? provider : { name, reason };
  } catch (error) {
    if (isSoftgradError(error) && error.code !== 'ERR_VALUE') return { name, reason: error.message };
    throw error;
  }
}

/** For `--backend NAME` of commands that have `--module`. @throws ERR_BACKEND_UNAVAILABLE if it cannot run here, ERR_VALUE for a file */
export async function findRequired(name: string, backends: Backends): Promise<BackendProvider> {
  checkNoModule('--backend', [name], 'takes modules');
  const target = await findAvailable(name, backends);
  if ('reason' in target) {
    const advice = moduleAdvice(name, backends);
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `${name} cannot run here: ${target.reason}${advice}`);
  }
  return target;
}

async function runSuite(
  target: BackendProvider | Backend,
  part: Part | undefined,
  options: Options,
  session: Session,
  begin: (step: string) => void,
): Promise<Report> {
  const { conformance, mismatchOf, reportCase } = await import('@softgrad/core/conformance');
  begin(`opening ${target.name}`);
  const opening = conformance(target, { required: true, timeoutMs: limitOf(options) });
  const suite = await blaming(options.module, session, opening);
  const incomplete = onIncomplete(suite);
  const bound = part ? suite.filter((one) => part.has(one) || one === incomplete) : suite;
  const progress = startProgress(`conformance of ${target.name}`, 1, session);
  const watch = watchTime(bound.filter(applies));
  const reports = new Map<BoundCase, Reported>();
  try {
    for (const boundCase of spread(bound)) {
      const began = session.now();
      begin(boundCase.name);
      let thrown: unknown;
      const run = () =>
        settled(boundCase.run(), session).catch((error: unknown) => {
          thrown = error;
          throw error;
        });
      const report = await reportCase({ ...boundCase, run });
      const stack = mismatchOf(thrown) ? null : stackOf(thrown);
      reports.set(boundCase, stack === null ? report : { ...report, frames: framesOf(thrown), stack });
      if (applies(boundCase)) progress.update(watch(boundCase, session.now() - began));
    }
  } finally {
    progress.stop();
  }
  const close = suite.at(-1);
  begin(`closing ${target.name}`);
  // The last case closes the backend. If it was not asked for, its outcome is not part of the report.
  if (close && !reports.has(close)) await settled(close.run(), session).catch(() => {});
  const cases = bound.flatMap((one) => reports.get(one) ?? []);
  const lasting = lastingFailure([...reports.values()]);
  return {
    backend: target.name,
    unavailable: null,
    total: suite.length,
    cases,
    ...(lasting && { lasting: { id: lasting.from.id, more: lasting.more } }),
  };
}

/** The only case that runs on an incomplete backend, if it is one. Without it, a part of the suite would pass there because nothing ran. */
function onIncomplete(suite: readonly BoundCase[]): BoundCase | undefined {
  const [first, ...others] = suite.filter(applies);
  return others.length === 0 ? first : undefined;
}

function applies({ skip }: BoundCase): boolean {
  return skip === null;
}

function unavailableReport({ name, reason }: Unavailable): ConformanceReport {
  return { backend: name, unavailable: reason, total: 0, cases: [] };
}

function count(cases: readonly CaseReport[], outcome: CaseReport['outcome']): number {
  return cases.filter((c) => c.outcome === outcome).length;
}

interface Format {
  /** Whether every failure is listed. */
  readonly all?: boolean;
  /** Whether failures are listed with their whole stack. */
  readonly debug?: boolean;
  /** Wraps prose for a terminal; by default its lines stay as they are. */
  readonly prose?: (text: string) => string;
  /** The options with which `softgrad report` finds the backend. */
  readonly source?: string;
}

export function formatReport({ backend, unavailable, total, cases, lasting }: Report, format: Format = {}): string {
  const { prose = (text) => text } = format;
  if (unavailable !== null) return `${prose(`${backend}: not run: ${unavailable}`)}\n\n`;
  const numbers = (some: readonly CaseReport[]) =>
    (['passed', 'failed', 'skipped'] as const).map((outcome) => count(some, outcome));
  const sections = [...new Set(cases.map(({ section }) => section))];
  const rows = sections.map((section) => [section, ...numbers(cases.filter((c) => c.section === section)).map(String)]);
  const failures = cases.filter((c) => c.outcome === 'failed');
  const lines = sections.flatMap((section) =>
    formatFailures(
      section,
      failures.filter((c) => c.section === section),
      format,
    ),
  );
  // The table is last: after many failures, the beginning is out of sight.
  lines.push(formatTable([backend, 'passed', 'failed', 'does not apply'], rows));
  const first = failures.find(({ id }) => id === lasting?.id) ?? firstToFix(failures);
  if (first !== null) {
    lines.push(`start with: ${first.id}`);
    if (lasting) {
      lines.push(
        prose(
          `it fails (${first.reason}), and so do ${lasting.more.toLocaleString('en')} of the cases that ran after it, all of storage among them, as if the device were lost there`,
        ),
      );
    }
    if (format.source !== undefined)
      lines.push(`its input and its wrong elements: softgrad report ${format.source} --id '${first.id}'`);
  }
  lines.push(...commonCauses(failures, cases).map(prose));
  const skips = cases.filter((c) => c.outcome === 'skipped').map(({ reason }) => String(reason));
  lines.push(...summariseSkips(skips).map(prose));
  const [passed, failed, skipped] = numbers(cases);
  const whole = total.toLocaleString('en');
  const part = cases.length < total ? `; only ${cases.length.toLocaleString('en')} of ${whole} cases` : '';
  lines.push(prose(`${backend}: ${passed} passed, ${failed} failed, ${skipped} do not apply${part}`));
  return `${lines.join('\n')}\n\n`;
}

/** The most failures of a section that are listed without `--all`. */
const mostFailures = 3;

function formatFailures(
  section: string,
  failures: readonly Reported[],
  { all, debug, prose = (text) => text }: Format,
): readonly string[] {
  const listed = failures.slice(0, all ? failures.length : mostFailures);
  const lines = listed.map(({ name, reason, frames = [], stack }) => {
    const where = debug && stack !== undefined ? stack.split('\n') : frames;
    return [`✗ ${name}`, prose(`  ${reason}`), ...where.map((line) => `    ${line.trim()}`)].join('\n');
  });
  const more = failures.length - listed.length;
  return more > 0
    ? [...lines, prose(`and ${more.toLocaleString('en')} more of ${section}; --all lists every one`)]
    : lines;
}
