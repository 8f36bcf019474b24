// `npm run docs:many-machines`: measures this package on this machine and writes the tables of docs/many-machines.md.
//
//   --small    arrays of a hundredth of the size, to try the command
//   --print    prints the tables and leaves the page as it is
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npyElements, npyHeader } from '@softgrad/formats';
import { Redis } from 'ioredis';

const small = process.argv.includes('--small');
const scale = small ? 100 : 1;
const page = new URL('../../../docs/many-machines.md', import.meta.url);
const root = mkdtempSync(join(tmpdir(), 'softgrad-measure-'));
const child = fileURLToPath(new URL('measure-child.mjs', import.meta.url));

try {
  const tables = [await throughput(), await sizes()].join('\n\n');
  if (process.argv.includes('--print')) console.log(tables);
  else writeFileSync(page, withTables(readFileSync(page, 'utf8'), tables));
} finally {
  rmSync(root, { recursive: true, force: true });
}

/** One process against threads, and threads against Redis, by turns. */
async function throughput() {
  const rows = 1_000_000 / scale;
  const classes = 128;
  write('logits.npy', rows, classes);
  const shardBytes = 64e6 / scale;
  const shards = Math.ceil((rows * classes * 4) / shardBytes);
  const base = { operation: 'softmax', logits: ['logits.npy'], shardBytes };
  const redis = await startRedis();
  const found = { single: [], threads: [], redis: [] };
  let memory = 0;
  let perShard = 0;
  try {
    for (let round = 0; round < 5; round++) {
      found.single.push((await run({ ...base, threads: 1, out: `single-${round}` })).seconds);
      const threads = await run({ ...base, threads: 2, out: `threads-${round}` });
      found.threads.push(threads.seconds);
      memory = Math.max(memory, threads.maxRss);
      found.redis.push((await run({ ...base, threads: 2, out: `redis-${round}`, redis: redis.url })).seconds);
      for (const name of Object.keys(found)) rmSync(join(root, `${name}-${round}`), { recursive: true });
    }
    perShard = await bytesPerShard(redis);
  } finally {
    await redis.end();
  }
  const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  const seconds = Object.fromEntries(Object.entries(found).map(([name, values]) => [name, median(values)]));
  const rate = (name) => `${Math.round(rows / seconds[name]).toLocaleString('en')} rows/s`;
  return [
    `softmax of ${rows.toLocaleString('en')} × ${classes} float32 in ${shards} shards of ${shardBytes / 1e6} MB, on ${cpus()[0]?.model.trim()}, ${cpus().length} cores, load average ${loadavg()[0].toFixed(1)} at the end; medians of 5 rounds by turns:`,
    '',
    '| engine | rate | against one thread |',
    '|---|---|---|',
    `| one thread | ${rate('single')} | 1.00 |`,
    `| two threads | ${rate('threads')} | ${(seconds.single / seconds.threads).toFixed(2)} |`,
    `| Redis, one worker with two threads | ${rate('redis')} | ${(seconds.single / seconds.redis).toFixed(2)} |`,
    '',
    `Through Redis: ${Math.round(perShard).toLocaleString('en')} bytes for each shard more, both ways together. Memory of a process with two threads: ${Math.round(memory / 1e6)} MB at most.`,
  ].join('\n');
}

/** What a shard adds to what a run of few shards takes. */
async function bytesPerShard({ client, url }) {
  write('few.npy', 10, 4);
  write('many.npy', 210, 4);
  const traffic = async (logits) => {
    const before = await bytes(client);
    await run({
      operation: 'softmax',
      logits: [logits],
      shardBytes: 16,
      threads: 2,
      out: `traffic-${logits}`,
      redis: url,
    });
    return (await bytes(client)) - before;
  };
  const few = await traffic('few.npy');
  return ((await traffic('many.npy')) - few) / 200;
}

/** What does not fit a process by itself. */
async function sizes() {
  const classes = 1e8 / scale;
  const rows = 1e9 / 128 / scale;
  writeHollow('row.npy', 1, classes);
  writeHollow('large.npy', Math.floor(rows), 128);
  const one = { operation: 'log-softmax', logits: ['row.npy'], shardClasses: true, threads: 2, out: 'row' };
  const many = { operation: 'softmax', logits: ['large.npy'], threads: 2, out: 'large' };
  const lines = ['| array | operation | time | memory of the process |', '|---|---|---|---|'];
  for (const [name, options] of [
    [`1 row of ${classes.toLocaleString('en')} classes, by classes`, one],
    [`${Math.floor(rows).toLocaleString('en')} rows of 128 classes, by rows`, many],
  ]) {
    const { seconds, maxRss } = await run(options);
    lines.push(`| ${name} | ${options.operation} | ${seconds.toFixed(1)} s | ${Math.round(maxRss / 1e6)} MB |`);
    rmSync(join(root, options.out), { recursive: true });
  }
  return lines.join('\n');
}

/** A run in a process of its own: its time from the plan to the manifest, and its memory at the most. */
async function run(options) {
  const process_ = spawn(process.execPath, [child, JSON.stringify({ root, ...options })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of process_.stdout) text += chunk;
  return JSON.parse(text);
}

function write(name, rows, classes) {
  const data = Float32Array.from({ length: rows * classes }, (_, i) => ((i * 7919) % 4001) / 97 - 20);
  writeFileSync(join(root, name), Buffer.concat([npyHeader('<f4', [rows, classes]), npyElements(data, '<f4')]));
}

/** Zeros that take no room on the disk, and are read as any others. */
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
    dir: root,
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
    },
  };
}

async function bytes(client) {
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
