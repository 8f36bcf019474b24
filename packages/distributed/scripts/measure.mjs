// `npm run docs:many-machines`: measures this package on this machine and writes the tables of docs/many-machines.md.
//
//   --parts rate,memory    only these: rate, redis, bytes, memory, classes, elements; default: those that were not measured yet
//   --again                also repeats earlier measurements
//   --folder DIR           the folder for arrays, on the disk to be measured; default: that for temporary files
//   --small                arrays of a hundredth of the size, to try the command: prints the tables without changing the page
//   --print                prints the tables without changing the page
//
// The results of each part are kept in reports/, so that the page can be completed in several calls. Disk space: 4.2 GB for rate, redis and
// memory, 0.5 GB for classes, 4.1 GB for elements. Memory: less than 1 GB.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npyElements, npyHeader } from '@softgrad/formats';
import { Redis } from 'ioredis';
import { argumentsOf } from '../../../scripts/arguments.mjs';

const { values: options } = argumentsOf(import.meta.url, {
  options: {
    parts: { type: 'string' },
    again: { type: 'boolean', default: false },
    folder: { type: 'string', default: tmpdir() },
    small: { type: 'boolean', default: false },
    print: { type: 'boolean', default: false },
  },
});
const parts = { rate, redis, bytes, memory, classes, elements };
const names = options.parts?.split(',') ?? Object.keys(parts);
const unknown = names.find((name) => !Object.hasOwn(parts, name));
if (unknown !== undefined) throw new Error(`--parts ${unknown}: expected some of ${Object.keys(parts).join(',')}`);

const memoryFolder = '/dev/shm';
const scale = options.small ? 100 : 1;
const rounds = options.small ? 1 : 5;
const page = new URL('../../../docs/many-machines.md', import.meta.url);
const report = new URL(`../reports/many-machines${options.small ? '-small' : ''}.json`, import.meta.url);
const root = mkdtempSync(join(options.folder, 'softgrad-measure-'));
const child = fileURLToPath(new URL('measure-child.mjs', import.meta.url));
const transferChild = fileURLToPath(new URL('measure-transfer.mjs', import.meta.url));

const found = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {};
try {
  for (const name of names) {
    if (found[name] !== undefined && !options.again) {
      console.error(`${name}: measured on ${found[name].day}; --again measures it again`);
      continue;
    }
    const begin = performance.now();
    const text = await parts[name]();
    const seconds = Math.round((performance.now() - begin) / 1000);
    found[name] = { text, seconds, day: new Date().toISOString().slice(0, 10), load: loadavg()[0], machine: machine() };
    mkdirSync(new URL('.', report), { recursive: true });
    writeFileSync(report, `${JSON.stringify(found, null, 1)}\n`);
    console.error(`${name}: ${seconds} s`);
  }
  const tables = tablesOf(found);
  if (options.print || options.small) console.log(tables);
  else writeFileSync(page, withTables(readFileSync(page, 'utf8'), tables));
} finally {
  rmSync(root, { recursive: true, force: true });
}

/** The tables of all parts, and where and when they were measured. */
function tablesOf(found) {
  const measured = Object.keys(parts).filter((name) => found[name] !== undefined);
  const missing = Object.keys(parts).filter((name) => found[name] === undefined);
  const origin = (name) => `${found[name].machine}, ${found[name].day}`;
  const origins = [...new Set(measured.map(origin))].map((each) => {
    const own = measured.filter((name) => origin(name) === each);
    const loads = own.map((name) => `${name} ${found[name].load.toFixed(1)}`);
    return `Measured on ${each}; load average at the end of ${loads.join(', ')}.`;
  });
  const gaps = missing.length > 0 ? [`Not measured yet: ${missing.join(', ')}.`] : [];
  const estimate = found.redis && found.bytes ? [estimateFor(100, found.redis.text, found.bytes.text)] : [];
  return [...measured.map((name) => found[name].text), ...estimate, ...origins, ...gaps].join('\n\n');
}

/** What many machines would do by rows if nothing else limited them, from the measured rate of one and its bytes through Redis. */
function estimateFor(machines, redisText, bytesText) {
  const number = (pattern, text) => Number(pattern.exec(text)?.[1].replaceAll(',', ''));
  const rate = number(/one worker with two threads \| ([\d,]+) rows/, redisText);
  const perShard = number(/Through Redis: ([\d,]+)/, bytesText);
  const { classes } = throughputShape();
  const shardBytes = 64e6;
  const each = rate * classes * 4;
  const all = machines * each;
  const link = 1.25e9;
  const fed = Math.floor(link / (2 * each));
  const enough =
    fed < 1
      ? `keeps one of them busy for ${Math.round((50 * link) / each)} % of the time`
      : `is enough for ${fed} of them`;
  return [
    `On paper, from these numbers: ${machines} such machines compute ${((machines * rate) / 1e6).toFixed(1)} million rows per second by rows. They read ${(all / 1e9).toFixed(1)} GB/s,`,
    `write as much, and finish ${Math.round(all / shardBytes)} shards of 64 MB per second, for which ${Math.round(((all / shardBytes) * perShard) / 1e3)} KB/s pass through Redis. The shared file system is the bound: one that reads and`,
    `writes ${link / 1e9} GB/s together (10 Gbit/s) ${enough}.`,
  ].join('\n');
}

function machine() {
  return `${cpus()[0]?.model.trim()}, ${cpus().length} cores`;
}

function throughputShape() {
  return { rows: 4_000_000 / scale, classes: 128, shardBytes: 64e6 / scale };
}

/** Writes the logits of the measurements of throughput, once for each folder. */
function throughputInput(folder = root) {
  const { rows, classes, shardBytes } = throughputShape();
  if (!existsSync(join(folder, 'logits.npy'))) write(folder, 'logits.npy', rows, classes);
  return { root: folder, operation: 'softmax', logits: ['logits.npy'], shardBytes };
}

/** The median times of some settings, measured in alternation. */
async function byTurns(settings, folder = root) {
  const times = Object.fromEntries(Object.keys(settings).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, own] of Object.entries(settings)) {
      const out = `${name}-${round}`;
      times[name].push((await run({ ...throughputInput(folder), out, ...own })).seconds);
      rmSync(join(folder, out), { recursive: true });
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function perSecond(seconds) {
  return `${Math.round(throughputShape().rows / seconds).toLocaleString('en')} rows/s`;
}

/**
 * One thread compared with two: on the disk, and in a folder in memory, where no disk limits the rate. The last column is the same for threads that
 * only read, hash and write: what the operating system allows.
 */
async function rate() {
  const { rows, classes, shardBytes } = throughputShape();
  const settings = {
    single: { threads: 1 },
    threads: { threads: 2 },
    singleTransfer: { threads: 1, script: transferChild },
    threadsTransfer: { threads: 2, script: transferChild },
  };
  const shards = Math.ceil((rows * classes * 4) / shardBytes);
  const lines = [
    `softmax of ${rows.toLocaleString('en')} × ${classes} float32 in ${shards} shards of ${shardBytes / 1e6} MB; medians of ${rounds} alternating rounds:`,
    '',
    '| folder | one thread | two threads | two relative to one | the same without computing |',
    '|---|---|---|---|---|',
  ];
  const row = (name, { single, threads, singleTransfer, threadsTransfer }) =>
    `| ${name} | ${perSecond(single)} | ${perSecond(threads)} | ${(single / threads).toFixed(2)} | ${(singleTransfer / threadsTransfer).toFixed(2)} |`;
  lines.push(row('on the disk', await byTurns(settings)));
  if (existsSync(memoryFolder)) {
    const folder = mkdtempSync(join(memoryFolder, 'softgrad-measure-'));
    try {
      lines.push(row(`in memory (${memoryFolder})`, await byTurns(settings, folder)));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  lines.push(
    '',
    'Without computing, threads only read the logits, hash them, and write them to new files as a run does.',
  );
  return lines.join('\n');
}

/** The additional time with Redis, compared with the same threads without it. */
async function redis() {
  const server = await startRedis();
  try {
    const seconds = await byTurns({ threads: { threads: 2 }, redis: { threads: 2, redis: server.url } });
    return [
      'The same through Redis, alternating with two threads of one process:',
      '',
      '| engine | rate | time relative to two threads |',
      '|---|---|---|',
      `| two threads | ${perSecond(seconds.threads)} | 1.00 |`,
      `| Redis, one worker with two threads | ${perSecond(seconds.redis)} | ${(seconds.redis / seconds.threads).toFixed(2)} |`,
    ].join('\n');
  } finally {
    await server.end();
  }
}

/** The additional bytes of each shard, from a run with many shards and one with few. */
async function bytes() {
  const server = await startRedis();
  write(root, 'few.npy', 10, 4);
  write(root, 'many.npy', 210, 4);
  const traffic = async (logits) => {
    const before = await trafficOf(server.client);
    const own = { operation: 'softmax', logits: [logits], shardBytes: 16, threads: 2, out: `traffic-${logits}` };
    await run({ ...own, redis: server.url });
    return (await trafficOf(server.client)) - before;
  };
  try {
    const few = await traffic('few.npy');
    const perShard = ((await traffic('many.npy')) - few) / 200;
    return `Through Redis: ${Math.round(perShard).toLocaleString('en')} additional bytes per shard, in both directions together.`;
  } finally {
    await server.end();
  }
}

/** By rows, memory depends neither on the size of a shard nor on that of the array. */
async function memory() {
  const lines = ['| bytes per shard | memory of a process with one thread | with two |', '|---|---|---|'];
  for (const shardBytes of [8e6 / scale, 32e6 / scale, 128e6 / scale]) {
    const used = [];
    for (const threads of [1, 2]) {
      const out = `memory-${shardBytes}-${threads}`;
      used.push((await run({ ...throughputInput(), shardBytes, threads, out })).maxRss);
      rmSync(join(root, out), { recursive: true });
    }
    lines.push(`| ${shardBytes / 1e6} MB | ${used.map((rss) => `${Math.round(rss / 1e6)} MB`).join(' | ')} |`);
  }
  return lines.join('\n');
}

/** One row that is larger than the part of it that a process holds. */
async function classes() {
  const count = 1e8 / scale;
  writeHollow('row.npy', 1, count);
  const own = { operation: 'log-softmax', logits: ['row.npy'], shardClasses: true };
  return sizeLine(`1 row of ${count.toLocaleString('en')} classes, by classes`, own);
}

async function elements() {
  const rows = Math.floor(1e9 / 128 / scale);
  writeHollow('large.npy', rows, 128);
  const own = { operation: 'softmax', logits: ['large.npy'] };
  return sizeLine(`${rows.toLocaleString('en')} rows of 128 classes, by rows`, own);
}

async function sizeLine(name, own) {
  const { seconds, maxRss } = await run({ ...own, threads: 2, out: 'sized' });
  rmSync(join(root, 'sized'), { recursive: true });
  const megabytes = Math.round(maxRss / 1e6).toLocaleString('en');
  return `${name}: ${own.operation} in ${seconds.toFixed(1)} s on two threads, with ${megabytes} MB of memory.`;
}

/** A run in a separate process, or what another script does with the same options: its time from the plan to the manifest, and its peak memory. */
async function run({ script = child, ...options }) {
  const process_ = spawn(process.execPath, [script, JSON.stringify({ root, ...options })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of process_.stdout) text += chunk;
  return JSON.parse(text);
}

/** Writes the file in pieces, so that it may be larger than memory. */
function write(folder, name, rows, classes) {
  const path = join(folder, name);
  writeFileSync(path, npyHeader('<f4', [rows, classes]));
  const count = rows * classes;
  for (let start = 0; start < count; start += 2 ** 22) {
    const piece = new Float32Array(Math.min(2 ** 22, count - start));
    for (let i = 0; i < piece.length; i++) piece[i] = (((start + i) * 7919) % 4001) / 97 - 20;
    appendFileSync(path, npyElements(piece, '<f4'));
  }
}

/** A sparse file of zeros, which takes no disk space and is read like any other file. */
function writeHollow(name, rows, classes) {
  const header = npyHeader('<f4', [rows, classes]);
  writeFileSync(join(root, name), header);
  truncateSync(join(root, name), header.length + rows * classes * 4);
}

async function startRedis() {
  const port = 20_000 + (process.pid % 20_000);
  const options = {
    port,
    bind: '127.0.0.1',
    dir: mkdtempSync(join(root, 'redis-')),
    save: '',
    appendonly: 'yes',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
  };
  const server = spawn(
    'redis-server',
    Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
    { stdio: 'ignore' },
  );
  const client = new Redis(port, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  client.on('error', () => {});
  await client.ping();
  return {
    client,
    url: `redis://127.0.0.1:${port}`,
    async end() {
      client.disconnect();
      server.kill();
      await once(server, 'exit');
    },
  };
}

async function trafficOf(client) {
  const info = await client.info('stats');
  const number = (name) => Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1]);
  return number('total_net_input_bytes') + number('total_net_output_bytes');
}

function withTables(text, tables) {
  const begin = '<!-- measured: begin -->';
  const end = '<!-- measured: end -->';
  const [before, rest] = text.split(begin);
  const [, after] = rest.split(end);
  return `${before}${begin}\n${tables}\n${end}${after}`;
}
