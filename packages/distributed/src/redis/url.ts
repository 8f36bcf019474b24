import { SoftgradError } from '@softgrad/core';

/** @throws ERR_VALUE unless it is the URL of a Redis server */
export function checkUrl(url: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol === 'redis:' || protocol === 'rediss:') return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${withoutPassword(url)}: expected a URL like redis://host:6379, or rediss://user:password@host:6379 for TLS`,
  );
}

/**
 * The URL of a server for messages and logs.
 *
 * @example
 * withoutPassword('rediss://user:secret@host:6379'); // 'rediss://user:…@host:6379'
 */
export function withoutPassword(url: string): string {
  return url.replace(/^(\w+:\/\/[^:@/]*):[^@/]*@/, '$1:…@');
}
