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
  const own = { appendonly: 'yes', appendfsync: 'everysec', 'maxmemory-policy': 'noeviction', save: '', ...settings };
  const options = Object.entries({ ...own, bind: '127.0.0.1', dir: folder, loglevel: 'warning' });
  let port = await freePort();
  let child: ChildProcess;
  const start = async () => {
    const words = [...options, ['port', String(port)]].flatMap(([name, value]) => [`--${name}`, value]);
    child = spawn(program, words, { stdio: 'ignore' });
    if (!(await answers(child, port))) throw new Error(`port ${port} was taken before redis-server could have it`);
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  for (let tries = 1; ; tries++) {
    try {
      await start();
      break;
    } catch (error) {
      if (tries === 5) throw error;
      port = await freePort();
    }
  }
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

/** Waits until a server answers at the port. False if it is another one, or if this one has ended: the port was not free after all. */
async function answers(child: ChildProcess, port: number): Promise<boolean> {
  const client = new Redis(port, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  client.on('error', () => {});
  const pid = client.info('server').then((info) => Number(/^process_id:(\d+)/m.exec(info)?.[1]));
  const ended = new AbortController();
  try {
    return (await Promise.race([pid, once(child, 'exit', ended).then(() => null)])) === child.pid;
  } finally {
    ended.abort();
    client.disconnect();
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
