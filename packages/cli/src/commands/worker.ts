import { availableParallelism } from 'node:os';
import { SoftgradError } from '@softgrad/core';
import { Command, Option } from 'commander';
import { backendsModule, checkFoundOnThreads, nameForShards } from '../backend.js';
import type { Session } from '../context.js';
import { moduleForShardsHelp, placeOf, positiveInteger, storeOption } from '../options.js';
import { loadRedis, redisUrl } from '../redis.js';

interface Options {
  readonly redis?: string;
  readonly root: string;
  readonly store?: string;
  readonly backend?: string;
  readonly module?: string;
  readonly concurrency: number;
}

export function workerCommand(session: Session): Command {
  return new Command('worker')
    .summary('computes shards of `softgrad run --redis`, on each machine')
    .description(
      'Takes shards of the runs that `softgrad run --redis` submits, until Ctrl-C, after which it finishes its current shards. It takes only runs of its own version and backend.',
    )
    .option(
      '--redis <url>',
      'redis://host:6379, or rediss://user:password@host:6379 for TLS; default: that of the environment variable SOFTGRAD_REDIS',
    )
    .option('--root <folder>', 'the folder that all workers can access; nothing outside of it is opened', '.')
    .addOption(storeOption())
    .option('--backend <name>', 'engine, as `softgrad backends` lists them; default: wasm where it can run, else cpu')
    .option('--module <file>', moduleForShardsHelp)
    .addOption(
      new Option('--concurrency <n>', 'number of shards at once, each on its own thread')
        .argParser(positiveInteger)
        .default(availableParallelism(), 'one for each core'),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad worker --redis redis://queue:6379 --root /mnt/shared
  $ softgrad worker --redis redis://queue:6379 --store s3://bucket/prefix
  $ SOFTGRAD_REDIS=rediss://:password@queue:6379 softgrad worker --concurrency 2`,
    )
    .action(async (options: Options) => {
      const redis = redisUrl(options.redis, session);
      if (redis === undefined) {
        throw new SoftgradError('ERR_VALUE', 'no server; expected --redis redis://host:6379, or SOFTGRAD_REDIS');
      }
      const backend = await nameForShards(options, '--concurrency', session);
      checkFoundOnThreads(backend, options.module, session);
      const { startWorker, withoutPassword } = await loadRedis();
      const say = (line: string) => session.stderr.write(`softgrad: ${line}\n`);
      const { concurrency } = options;
      const root = placeOf(options);
      const worker = await startWorker({
        root,
        redis,
        backend,
        backends: backendsModule(options.module),
        concurrency,
        onEvent: ({ kind, message }) => say(kind === 'warning' ? message : `${kind} ${message}`),
      });
      say(`worker on ${backend}, ${concurrency} shards at once, for runs in ${root}, at ${withoutPassword(redis)}`);
      const release = session.onInterrupt(() => {
        say('finishing the current shards; press Ctrl-C again to end immediately');
        void worker.close();
      });
      try {
        await worker.ended;
      } finally {
        release();
      }
    });
}
