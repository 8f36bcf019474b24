// Mutation testing of kernels in C or WGSL: generates the mutants, keeps their results, draws samples and reports. A module for each package
// tests the mutants, see backend-wasm.mjs.
//
// Results are kept in reports/mutants/NAME.jsonl, line by line while a run goes on, and after it in docs/data/kernel-mutants.json, which is committed:
// one letter for each mutant of a file, in the order of their positions. A file whose text or mutants changed loses its results.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../workspace.mjs';
import { apply, mutants, operators } from './operators.mjs';

const committed = join(root, 'docs', 'data', 'kernel-mutants.json');

/** The letters of the results. `same`: compiles to the same program; `error`: does not compile; `untested`: reached by no test. */
const letters = { killed: 'k', survived: 's', untested: 'u', same: '=', error: 'x', unknown: '.' };

/**
 * Runs the mutants of a package's kernels that have no result yet, and reports.
 *
 * @param target `name`, for example backend-wasm-kernels; `folder` of the kernels; their `files`; `language`, see operators.mjs;
 *   `equivalents`, the path of the list of mutants argued to change nothing; `tests()`, the hash of the tests: if it changes, survivors are
 *   tried again; `tryAll(mutants, options, keep)`, which calls `keep(mutant, { status, by })` with a status of `letters`
 * @param options `files`, `operators`, `sample`, `seed`, `afresh`, `list`; `argued`: also the mutants that are listed as equivalent; `least`, the time of
 *   the tests that an earlier run with `most` has tried; `most`, the longest time of a test, and `oneCaseOf`, the share of the conformance suite: with either a mutant that survives has no result
 * @returns the counts of all mutants that have a result, for the table of scores
 */
export async function runKernelMutants(target, options) {
  const kept = join(root, 'reports', 'mutants', `${target.name}.jsonl`);
  mkdirSync(dirname(kept), { recursive: true });
  if (options.afresh) rmSync(kept, { force: true });
  const all = collect(target, {});
  const known = new Map([...(options.afresh ? [] : committedResults(target, all)), ...readResults(kept)]);
  const argued = readEquivalents(target.equivalents);
  const within = collect(target, options);
  const chosen = options.sample ? sampleOf(within, options.sample, options.seed ?? 1) : within;
  if (options.list) {
    for (const mutant of chosen) console.log(diffOf(mutant));
    return null;
  }
  const isArgued = (mutant) => argued.some((entry) => argues(entry, mutant));
  await tryAll(target, options.argued ? chosen : chosen.filter((mutant) => !isArgued(mutant)), options, known, kept);
  commitResults(target, all, known);
  const withResult = (mutant) => ({
    mutant,
    status: known.get(mutant.key)?.status ?? 'unknown',
    by: known.get(mutant.key)?.by,
    isArgued: isArgued(mutant),
  });
  report(chosen.map(withResult));
  return count(all.map(withResult));
}

/** The results of a target's mutants in the committed file, by key. */
function committedResults(target, all) {
  const stored = existsSync(committed) ? (JSON.parse(readFileSync(committed, 'utf8'))[target.name] ?? {}) : {};
  const statuses = Object.entries(letters).map(([status, letter]) => [letter, status]);
  const statusOf = Object.fromEntries(statuses);
  return target.files.flatMap((file) => {
    const own = all.filter((mutant) => mutant.file === file);
    const { hash: of, tests, results } = stored[file] ?? {};
    if (of !== hashOfFile(own)) return [];
    const found = own.map(({ key }, k) => [key, { status: statusOf[results[k]], tests }]);
    return found.filter(([, { status }]) => status !== 'unknown');
  });
}

function commitResults(target, all, known) {
  const stored = existsSync(committed) ? JSON.parse(readFileSync(committed, 'utf8')) : {};
  const entries = target.files.flatMap((file) => {
    const own = all.filter((mutant) => mutant.file === file);
    const results = own.map(({ key }) => known.get(key)).map((result) => letters[result?.status ?? 'unknown']);
    // Survivors of a file are tried again unless all of them have passed the tests of today.
    const versions = new Set(
      own.map(({ key }) => known.get(key)).flatMap((result) => (survives(result) ? [result.tests] : [])),
    );
    const tests = versions.size === 1 ? [...versions][0] : null;
    const isTried = results.some((letter) => letter !== letters.unknown);
    return isTried ? [[file, { hash: hashOfFile(own), tests, results: results.join('') }]] : [];
  });
  const text = JSON.stringify({ ...stored, [target.name]: Object.fromEntries(entries) }, null, 2);
  writeFileSync(committed, `${text}\n`);
}

const survives = (result) => result?.status === 'survived' || result?.status === 'untested';

const hashOfFile = (mutantsOfFile) => hash(...mutantsOfFile.map(({ key }) => key));

/** Entries of a target's list of equivalent mutants that match no mutant. */
export function strayEquivalents(target) {
  const all = collect(target, {});
  return readEquivalents(target.equivalents).filter((entry) => !all.some((mutant) => argues(entry, mutant)));
}

async function tryAll(target, chosen, { least, most, oneCaseOf = 1 }, known, kept) {
  const tests = target.tests();
  const isOpen = (mutant) => {
    const result = known.get(mutant.key);
    return !result || (survives(result) && result.tests !== tests);
  };
  const open = chosen.filter(isOpen);
  console.log(`${chosen.length} mutants of ${target.name}, ${open.length} to try.`);
  if (open.length === 0) return;
  const begun = performance.now();
  const isWhole = most === undefined && oneCaseOf === 1;
  await target.tryAll(open, { least, most, oneCaseOf }, (mutant, { status, by }) => {
    if (!isWhole && survives({ status })) return;
    const result = { key: mutant.key, tests, status, by, mutant: describe(mutant) };
    known.set(mutant.key, result);
    appendFileSync(kept, `${JSON.stringify(result)}\n`);
  });
  const seconds = (performance.now() - begun) / 1000;
  console.log(`${target.name}: ${Math.round(seconds)} s, ${(seconds / open.length).toFixed(2)} s a mutant.`);
}

/** Every mutant of the chosen files, with its file, the file's text, and a key that depends on that text. */
function collect({ folder, files, language }, options) {
  const wanted = options.files ? options.files.split(',').map(rangeOf) : files.map((file) => ({ file }));
  const only = options.operators?.split(',');
  const missing = [
    ...wanted.map(({ file }) => file).filter((file) => !files.includes(file)),
    ...(only ?? []).filter((name) => !(name in operators)),
  ];
  if (missing.length > 0)
    throw new Error(`unknown: ${missing.join(', ')}; there are ${[...files, ...Object.keys(operators)].join(', ')}`);
  return wanted.flatMap(({ file, first = 1, last = Number.POSITIVE_INFINITY }) => {
    const text = readFileSync(join(folder, file), 'utf8');
    return mutants(text, language)
      .filter(({ operator, line }) => (!only || only.includes(operator)) && line >= first && line <= last)
      .map((mutant) => ({
        ...mutant,
        file,
        text,
        key: hash(file, text, String(mutant.start), String(mutant.end), mutant.after),
      }));
  });
}

/** `FILE`, `FILE:LINE` or `FILE:FIRST-LAST`. */
function rangeOf(text) {
  const [, file, first = '1', last = /:/.test(text) ? first : Number.POSITIVE_INFINITY] =
    /^(.+?)(?::(\d+)(?:-(\d+))?)?$/.exec(text);
  return { file, first: Number(first), last: Number(last) };
}

/** `size` random mutants, the same number of each operator as far as possible. */
function sampleOf(all, size, seed) {
  const next = random(seed);
  const pools = Object.keys(operators).map((name) => all.filter(({ operator }) => operator === name));
  const drawn = new Set();
  while (drawn.size < Math.min(size, all.length)) {
    for (const pool of pools) {
      if (pool.length === 0 || drawn.size === size) continue;
      drawn.add(pool.splice(Math.floor(next() * pool.length), 1)[0]);
    }
  }
  return all.filter((mutant) => drawn.has(mutant));
}

/** Reproducible random numbers in [0, 1) (Mulberry32). */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function readResults(path) {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  return new Map(lines.map((line) => JSON.parse(line)).map((result) => [result.key, result]));
}

/**
 * A list of `{ file, previous?, line, operator, after?, reason }`: `line` is the text of the mutant's line, `previous` that of the line before where a
 * file has the same line several times, and `after` one or several parts of the mutated line that distinguish the mutant from others; without `after`
 * the entry stands for all mutants of the line by this operator.
 */
export function readEquivalents(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [];
}

const squeezed = (text) => text.replace(/\s+/g, ' ').trim();
const lineOf = ({ text, line }) => squeezed(text.split('\n')[line - 1]);

/** Whether an entry of such a list is about a mutant. */
export function argues(entry, mutant) {
  if (entry.file !== mutant.file || entry.operator !== mutant.operator || squeezed(entry.line) !== lineOf(mutant))
    return false;
  if (entry.previous !== undefined && squeezed(entry.previous) !== lineOf({ ...mutant, line: mutant.line - 1 }))
    return false;
  if (entry.after === undefined) return true;
  const changed = lineOf({ text: apply(mutant.text, mutant), line: mutant.line });
  return [entry.after]
    .flat()
    .map(squeezed)
    .some((after) => after === squeezed(mutant.after) || (changed.includes(after) && !lineOf(mutant).includes(after)));
}

function describe({ file, line, operator, before, after }) {
  return `${file}:${line} ${operator}: ${squeezed(before)} → ${squeezed(after)}`;
}

/** A mutant as a diff of the lines that it changes. */
export function diffOf(mutant) {
  const { file, line, operator, text, before } = mutant;
  const lines = before.split('\n').length;
  const cut = (whole, first, howMany) => whole.split('\n').slice(first - 1, first - 1 + howMany);
  const changed = apply(text, mutant);
  const left = changed.split('\n').length - text.split('\n').length + lines;
  return [
    `${file}:${line} ${operator}`,
    ...cut(text, line, lines).map((content) => `-${content}`),
    ...cut(changed, line, left).map((content) => `+${content}`),
  ].join('\n');
}

function report(results) {
  for (const { mutant, status, by, isArgued } of results) {
    if (!isArgued && status === 'survived') console.log(`\nSurvived ${diffOf(mutant)}`);
    if (!isArgued && status === 'untested') console.log(`\nReached by no test ${diffOf(mutant)}`);
    if (isArgued && status === 'killed') console.log(`\nListed as equivalent, but killed by ${by}: ${diffOf(mutant)}`);
  }
  console.log('\n| operator | mutants | killed | survived | of these argued | same program | not compiled |');
  console.log('|---|---|---|---|---|---|---|');
  for (const name of Object.keys(operators)) {
    const own = results.filter(({ mutant }) => mutant.operator === name);
    const having = (...statuses) => own.filter(({ status }) => statuses.includes(status));
    if (own.length === 0) continue;
    const open = having('survived', 'untested');
    const counts = [having('killed'), open, open.filter(({ isArgued }) => isArgued), having('same'), having('error')];
    console.log(`| ${name} | ${own.length} | ${counts.map(({ length }) => length).join(' | ')} |`);
  }
}

/** The score counts mutants that compile to another program. */
function count(results) {
  // A mutant that is listed as equivalent is tried on request only.
  const statusOf = ({ status, isArgued }) => (status === 'unknown' && isArgued ? 'survived' : status);
  const having = (status) => results.filter((result) => statusOf(result) === status);
  const [killed, survived, untested] = ['killed', 'survived', 'untested'].map(having);
  return {
    of: results.length,
    unchanged: having('same').length + having('error').length,
    untried: having('unknown').length,
    mutants: killed.length + survived.length + untested.length,
    killed: killed.length,
    survived: survived.length,
    untested: untested.length,
    equivalent: [...survived, ...untested].filter(({ isArgued }) => isArgued).length,
  };
}

/** The first 16 digits of the SHA-256 of some texts. */
export function hash(...texts) {
  const sum = createHash('sha256');
  for (const text of texts) sum.update(text).update('\0');
  return sum.digest('hex').slice(0, 16);
}
