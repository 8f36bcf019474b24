// Mutation testing of kernels in C or WGSL: generates the mutants, keeps their results, draws samples and reports. A module for each package
// builds and tests a mutant, see backend-wasm.mjs.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../workspace.mjs';
import { apply, mutants, operators } from './operators.mjs';

/**
 * Runs the mutants of a package's kernels that have no result yet, and reports.
 *
 * @param target `name`, for example backend-wasm-kernels; `folder` of the kernels; their `files`; `language`, see operators.mjs;
 *   `equivalents`, the path of the list of mutants argued to change nothing; `tests`, the hash of the tests: if it changes, survivors are
 *   tried again; `open({ quick })`, which returns `{ test(file, text), close() }`: `test` resolves to `{ status, by }`, with the
 *   status 'killed', 'survived', 'timeout', 'same' (compiles to the same program) or 'error' (does not compile)
 * @param options `files`, `operators`, `sample`, `seed`, `afresh`, `list`, `quick` (only the conformance suite: a later run without `quick`
 *   tries the survivors again)
 * @returns the counts for the table of scores
 */
export async function runKernelMutants(target, options) {
  const kept = join(root, 'reports', 'mutants', `${target.name}.jsonl`);
  mkdirSync(dirname(kept), { recursive: true });
  if (options.afresh) rmSync(kept, { force: true });
  const known = readResults(kept);
  const argued = readEquivalents(target.equivalents);
  const all = collect(target, options);
  const chosen = options.sample ? sampleOf(all, options.sample, options.seed ?? 1) : all;
  if (options.list) {
    for (const mutant of chosen) console.log(diffOf(mutant));
    return count([]);
  }
  await tryAll(options.quick ? { ...target, tests: 'none' } : target, chosen, known, argued, kept);
  const results = chosen.map((mutant) => ({
    mutant,
    status: argued.some((entry) => argues(entry, mutant)) ? 'argued' : (known.get(mutant.key)?.status ?? 'unknown'),
    by: known.get(mutant.key)?.by,
  }));
  report(results);
  return count(results);
}

/** Entries of a target's list of equivalent mutants that match no mutant. */
export function strayEquivalents(target) {
  const all = collect(target, {});
  return readEquivalents(target.equivalents).filter((entry) => !all.some((mutant) => argues(entry, mutant)));
}

async function tryAll(target, chosen, known, argued, kept) {
  const isOpen = (mutant) => {
    if (argued.some((entry) => argues(entry, mutant))) return false;
    const result = known.get(mutant.key);
    return !result || (result.status === 'survived' && target.tests !== 'none' && result.tests !== target.tests);
  };
  const open = chosen.filter(isOpen);
  console.log(`${chosen.length} mutants of ${target.name}, ${open.length} to try.`);
  if (open.length === 0) return;
  const session = await target.open({ quick: target.tests === 'none' });
  try {
    for (const [i, mutant] of open.entries()) {
      const begun = performance.now();
      const { status, by } = await session.test(mutant.file, apply(mutant.text, mutant));
      const seconds = Math.round((performance.now() - begun) / 100) / 10;
      const result = { key: mutant.key, tests: target.tests, status, by, seconds, mutant: describe(mutant) };
      known.set(mutant.key, result);
      appendFileSync(kept, `${JSON.stringify(result)}\n`);
      console.log(`${i + 1}/${open.length} ${status}${by ? ` by ${by}` : ''}, ${seconds} s: ${describe(mutant)}`);
    }
  } finally {
    await session.close();
  }
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
 * A list of `{ file, line, operator, after?, reason }`: `line` is the text of the mutant's line, `after` one or several parts of the mutated
 * line that distinguish the mutant from others; without `after` the entry stands for all mutants of the line by this operator.
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
  for (const { mutant, status } of results) if (status === 'survived') console.log(`\nSurvived ${diffOf(mutant)}`);
  console.log('\n| operator | mutants | killed | survived | argued | same program | not compiled |');
  console.log('|---|---|---|---|---|---|---|');
  for (const name of Object.keys(operators)) {
    const own = results.filter(({ mutant }) => mutant.operator === name);
    const having = (...statuses) => own.filter(({ status }) => statuses.includes(status)).length;
    if (own.length === 0) continue;
    const counts = [['killed', 'timeout'], ['survived'], ['argued'], ['same'], ['error']].map((some) =>
      having(...some),
    );
    console.log(`| ${name} | ${own.length} | ${counts.join(' | ')} |`);
  }
}

/** The mutants that count: without those that do not compile, compile to the same program, or are listed as equivalent. */
function count(results) {
  const having = (...statuses) => results.filter(({ status }) => statuses.includes(status)).length;
  const [killed, survived] = [having('killed', 'timeout'), having('survived')];
  return { mutants: killed + survived, killed, survived, untested: 0 };
}

/** The first 16 digits of the SHA-256 of some texts. */
export function hash(...texts) {
  const sum = createHash('sha256');
  for (const text of texts) sum.update(text).update('\0');
  return sum.digest('hex').slice(0, 16);
}
