import { SoftgradError } from '@softgrad/core';
import type { Context } from './context.js';

type Engine = typeof import('@softgrad/distributed/redis');

/** The Redis engine, whose packages users install themselves. @throws ERR_VALUE with instructions if they are missing */
export async function loadRedis(
  load: () => Promise<Engine> = () => import('@softgrad/distributed/redis'),
): Promise<Engine> {
  try {
    return await load();
  } catch (cause) {
    const missing = /Cannot find (?:package|module) '(bullmq|ioredis)'/.exec(String(cause))?.[1];
    if (missing === undefined) throw cause;
    throw new SoftgradError(
      'ERR_VALUE',
      `--redis needs ${missing}: npm install bullmq ioredis, where softgrad is installed`,
      {
        cause,
      },
    );
  }
}

/** The server's URL: an option, or SOFTGRAD_REDIS, which other users of the machine cannot see. */
export function redisUrl(option: string | undefined, { env }: Pick<Context, 'env'>): string | undefined {
  return option ?? (env.SOFTGRAD_REDIS || undefined);
}
