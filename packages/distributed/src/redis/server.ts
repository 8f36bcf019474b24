import { SoftgradError } from '@softgrad/core';
import type { Redis } from 'ioredis';
import * as packages from './packages.js';
import { checkUrl, withoutPassword } from './url.js';

/** A client for the few commands of this package. @throws ERR_VALUE if no server answers at the URL, or it refuses the password */
export async function connect(url: string): Promise<Redis> {
  checkUrl(url);
  const client = new packages.Redis(url, { lazyConnect: true, retryStrategy: () => null });
  // The event has the reason; the command only reports that there is no connection.
  let reason: unknown;
  client.on('error', (error) => {
    reason ??= error;
  });
  try {
    await client.connect();
    await client.ping();
    return client;
  } catch (cause) {
    client.disconnect();
    const told = reason ?? cause;
    const message = told instanceof Error ? told.message : String(told);
    throw new SoftgradError('ERR_VALUE', `${withoutPassword(url)}: ${message}; expected a Redis or Valkey server`, {
      cause,
    });
  }
}

/** How the server's settings could lose jobs; empty if they cannot. */
export async function durabilityWarnings(client: Redis): Promise<readonly string[]> {
  const warnings: string[] = [];
  try {
    const policy = await setting(client, 'maxmemory-policy');
    if (policy !== 'noeviction') {
      warnings.push(`maxmemory-policy is ${policy}: under memory pressure Redis drops jobs; expected noeviction`);
    }
    if ((await setting(client, 'appendonly')) !== 'yes') {
      warnings.push('appendonly is no: jobs since the last snapshot are lost when Redis ends; expected yes');
    } else if ((await setting(client, 'appendfsync')) === 'no') {
      warnings.push(
        'appendfsync is no: jobs of the last half minute are lost when the machine ends; expected everysec or always',
      );
    }
  } catch {
    warnings.push(
      'the server does not allow reading its settings (CONFIG GET): expected maxmemory-policy noeviction, appendonly yes',
    );
  }
  return warnings.map((warning) => `${warning}. \`softgrad run --resume OUT\` submits lost jobs again.`);
}

async function setting(client: Redis, name: string): Promise<string> {
  const [, value] = (await client.config('GET', name)) as string[];
  return value ?? '';
}
