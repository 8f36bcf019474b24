import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** Debian's redis-server on a free port of the loopback interface, by default with settings that lose no jobs. */
export async function startRedis(settings: Readonly<Record<string, string>> = {}) {
  const program = findProgram();
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-redis-'));
  const port = await freePort();
  const own = { appendonly: 'yes', appendfsync: 'everysec', 'maxmemory-policy': 'noeviction', save: '', ...settings };
  const options = Object.entries({ ...own, port: String(port), bind: '127.0.0.1', dir: folder, loglevel: 'warning' });
  let child: ChildProcess;
  const start = async () => {
    child = spawn(
      program,
      options.flatMap(([name, value]) => [`--${name}`, value]),
      { stdio: 'ignore' },
    );
    const client = new Redis(port, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
    client.on('error', () => {});
    await client.ping();
    client.disconnect();
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  await start();
  return {
    /** Each database has its own queues, so that concurrent tests are independent. */
    url: (database: number) => `redis://127.0.0.1:${port}/${database}`,
    /** Ends it immediately, like a power failure. */
    kill,
    start,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type RedisServer = Awaited<ReturnType<typeof startRedis>>;

function findProgram(): string {
  const found = which();
  if (found) return found;
  if (process.getuid?.() !== 0) throw new Error('redis-server is missing: apt-get install redis-server');
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', 'redis-server'],
  ]) {
    execFileSync('apt-get', args, { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  }
  return which() ?? 'redis-server';
}

function which(): string | null {
  try {
    return execFileSync('which', ['redis-server'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
