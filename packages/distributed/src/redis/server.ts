import { SoftgradError } from '@softgrad/core';
import { Redis } from 'ioredis';
import { checkUrl, withoutPassword } from './url.js';

/** A client for this package's own few commands. @throws ERR_VALUE where nothing answers at the URL, or refuses the password */
export async function connect(url: string): Promise<Redis> {
  checkUrl(url);
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 1, retryStrategy: () => null });
  // The event tells the reason, where the command only knows that there is no connection.
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

/** What the server could lose with its settings; empty where it loses nothing. */
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
      'the server does not tell its settings (CONFIG GET): expected maxmemory-policy noeviction, appendonly yes',
    );
  }
  return warnings.map((warning) => `${warning}. What is lost, \`softgrad run --resume OUT\` submits again.`);
}

async function setting(client: Redis, name: string): Promise<string> {
  const [, value] = (await client.config('GET', name)) as string[];
  return value ?? '';
}
