// Tests the store in object storage with a real server: Debian's Ceph gateway.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { root } from '../workspace.mjs';
import { CommandFailed, withProject } from './project.mjs';
import { installServers, keys, startCeph, startRedis } from './servers.mjs';

const bucket = 'softgrad';
const store = `s3://${bucket}/runs`;
const packages = ['softgrad', '@softgrad/cli', '@softgrad/distributed', '@softgrad/formats'];
const clients = ['@aws-sdk/client-s3', 'bullmq', 'ioredis'];

/**
 * The contract of the store, by the tests of the workspace, and runs of the installed command, whose parts must be those of a run in a folder. Without a
 * result if the servers are not installed.
 */
export async function checkObjectStorage({ registry, check }) {
  const { ok } = await check('s3: servers', installServers);
  if (!ok) return undefined;
  const ceph = await startCeph();
  try {
    return await withProject('object-storage', registry, async (project) => {
      await project.npm('install', ...packages, ...clients);
      for (const name of ['server', 'inputs', 'hashes', 'kill']) project.copy(`s3-${name}.mjs`);
      const env = {
        AWS_ENDPOINT_URL_S3: ceph.url,
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: keys.accessKeyId,
        AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
        NODE_NO_WARNINGS: '1',
      };
      const program = (name, ...args) => project.run(process.execPath, [`s3-${name}.mjs`, ...args], { env });
      const softgrad = (...args) => project.run(process.execPath, [...command, ...args], { env, timeoutMs: 600_000 });
      const conditions = JSON.parse(await program('server', bucket));
      const results = {
        put: await check('s3: If-None-Match on PutObject', () => conditions.put),
        join: await check('s3: If-None-Match on CompleteMultipartUpload', () => conditions.join),
        contract: await check('s3: contract', () => runContract(env)),
      };
      await program('inputs', '.', store);
      const tools = { project, env, program, softgrad };
      results.embedded = await check('s3: two threads', () => runEmbedded(tools));
      results.redis = await check('s3: Redis', () => runWorkers(tools));
      return { version: ceph.version, results };
    });
  } finally {
    ceph.stop();
  }
}

const command = [join('node_modules', 'softgrad', 'bin', 'softgrad.js')];

async function runContract(env) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const args = ['run', 'test/s3.server.test.ts', '--reporter=default'];
  const child = spawn(process.execPath, [vitest, ...args], {
    cwd: join(root, 'packages', 'distributed'),
    env: { ...process.env, ...env, SOFTGRAD_TEST_S3: `s3://${bucket}/contract` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const status = await new Promise((resolve) => child.on('close', resolve));
  const [, count] = /Tests +(\d+) passed/.exec(stripVTControlCharacters(output)) ?? [];
  if (status !== 0 || count === undefined) throw new CommandFailed(`vitest ${args.join(' ')}`, output);
  return `${count} tests`;
}

/** Parts of 80 MB, above the size that is put at once. */
async function runEmbedded({ program, softgrad }) {
  const run = ['run', 'softmax', 'logits/*.npy', '--dtype', 'float64', '--shard-bytes', '40000000', '--threads', '2'];
  await softgrad(...run, '--out', 'large');
  await softgrad(...run, '--out', `${store}/large`, '--store', store);
  await softgrad('run', '--verify', 'large', '--store', store);
  return compare(await program('hashes', '.', 'large'), await program('hashes', store, 'large'));
}

/** Parts of 8 MB by two workers, of which one is killed three times and started again, as by a supervisor. */
async function runWorkers({ project, env, program, softgrad }) {
  const run = ['run', 'softmax', 'logits/*.npy', '--shard-bytes', '8000000'];
  await softgrad(...run, '--threads', '1', '--out', 'small');
  const redis = await startRedis();
  const workers = [1, 2].map(() => supervise(redis.url));
  try {
    await softgrad(...run, '--out', 'small', '--store', store, '--redis', redis.url);
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
    redis.stop();
  }
  const killed = readdirSync(project.folder).filter((name) => name.startsWith('killed-'));
  if (killed.length !== 3) throw new Error(`workers were killed at ${killed}; expected 3 times`);
  await softgrad('run', '--verify', 'small', '--store', store);
  return `${compare(await program('hashes', '.', 'small'), await program('hashes', store, 'small'))}; ${killed.length} × kill −9`;

  function supervise(url) {
    let child;
    let ended;
    let ending = false;
    const start = () => {
      const args = [
        '--import',
        './s3-kill.mjs',
        ...command,
        'worker',
        '--redis',
        url,
        '--store',
        store,
        '--concurrency',
        '1',
      ];
      child = spawn(process.execPath, args, { cwd: project.folder, env: { ...process.env, ...env }, stdio: 'ignore' });
      ended = new Promise((resolve) => child.on('exit', resolve)).then(() => (ending ? undefined : start()));
      return ended;
    };
    start();
    return {
      end() {
        ending = true;
        child.kill('SIGTERM');
        return ended;
      },
    };
  }
}

function compare(inFolder, inBucket) {
  const [expected, found] = [inFolder, inBucket].map((printed) => JSON.parse(printed));
  const differing = Object.keys({ ...expected, ...found }).filter((path) => expected[path] !== found[path]);
  if (differing.length > 0) throw new Error(`differs from that in a folder: ${differing.join(', ')}`);
  return `${Object.keys(found).length} parts as in a folder`;
}
