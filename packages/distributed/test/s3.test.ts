import { S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createPlan, openStore, partsReader, runEmbedded, verify } from '../src/index.js';
import { type S3StoreOptions, s3Store } from '../src/s3/index.js';
import { getWhole } from '../src/store.js';
import { type S3Server, startS3 } from './s3-server.js';
import { backends, noise, workspace } from './workspace.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server.end());
afterEach(() => {
  server.intercept = null;
  vi.unstubAllEnvs();
});

const clientOf = ({ url }: S3Server) =>
  new S3Client({ endpoint: url, region: 'eu-central-1', credentials, forcePathStyle: true, maxAttempts: 2 });
let stores = 0;
/** A store at a separate prefix. */
const store = (options: S3StoreOptions = {}) =>
  s3Store(`s3://bucket/test-${stores++}`, { client: clientOf(server), ...options });

/** The environment variables for the tests of a run. */
function stubEnvironment({ url }: S3Server) {
  vi.stubEnv('AWS_ENDPOINT_URL_S3', url);
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
}

describe('a bucket as a store', () => {
  test('writes an object once, and the first one stays', async () => {
    const { putOnce, get } = store();
    expect(await putOnce('a/b.txt', bytes('first'))).toBe(true);
    expect(await putOnce('a/b.txt', bytes('second'))).toBe(false);
    expect(text(await get('a/b.txt', 0, 100))).toBe('first');
  });

  test('lets only one of many concurrent writers write an object', async () => {
    const shared = store();
    const puts = Array.from({ length: 20 }, (_, k) => shared.putOnce('one', bytes(`writer ${k}`)));
    expect((await Promise.all(puts)).filter(Boolean)).toHaveLength(1);
  });

  test('reads a range, with fewer bytes only at the end', async () => {
    const { putOnce, get } = store();
    await putOnce('x', bytes('0123456789'));
    await putOnce('empty', bytes(''));
    expect(text(await get('x', 3, 4))).toBe('3456');
    expect(text(await get('x', 8, 4))).toBe('89');
    expect([await get('x', 10, 4), await get('x', 3, 0), await get('empty', 0, 9)].map(text)).toEqual(['', '', '']);
    await expect(get('y', 0, 1)).rejects.toThrow(/s3:\/\/bucket\/test-\d+\/y: cannot be read: no such object/);
  });

  test('lists the objects below a folder in order, page by page', async () => {
    const { putOnce, list, stat, remove } = store();
    const paths = ['f/b', 'f/a/c', 'f/d', 'f/e', 'f/g', 'f/h', 'f/i', 'fa', 'g'];
    for (const path of paths) await putOnce(path, bytes(path));
    expect((await list('f')).map(({ path }) => path)).toEqual(['f/a/c', 'f/b', 'f/d', 'f/e', 'f/g', 'f/h', 'f/i']);
    expect((await list('.')).map(({ path }) => path)).toEqual([...paths].sort());
    expect(await list('nowhere')).toEqual([]);
    expect(await stat('f')).toBeNull();
    expect(await stat('g')).toMatchObject({ path: 'g', byteLength: 1 });
    await remove('g');
    await remove('g');
    expect(await stat('g')).toBeNull();
  });

  test('names of patterns', async () => {
    const { putOnce, match, locate, name } = store();
    for (const path of ['logits/a-1.npy', 'logits/a-2.npy', 'logits/deep/a-3.npy', 'other/a-1.npy']) {
      await putOnce(path, bytes(''));
    }
    expect(await match('logits/*.npy')).toEqual(['logits/a-1.npy', 'logits/a-2.npy']);
    expect(await match('**/a-[13].npy')).toEqual(['logits/a-1.npy', 'logits/deep/a-3.npy', 'other/a-1.npy']);
    expect(locate(`${name}/logits/*.npy`)).toBe('logits/*.npy');
    for (const path of ['/etc/passwd', '../x', 'a/../../x', 's3://other/x', `${name}-2/x`]) {
      expect(() => locate(path)).toThrow(`outside of ${name}, the store that all workers can access`);
    }
    expect(() => s3Store('s3://bucket/a/../b')).toThrow('expected s3://BUCKET or s3://BUCKET/PREFIX');
  });

  test.each(['/etc/passwd', '../x', 'a/../../x', 'a\\..\\x', 'a//x', 'x\0y', ''])(
    'refuses the path %j',
    async (path) => {
      const { get, putOnce } = store();
      await expect(get(path, 0, 1)).rejects.toThrow('expected a path relative to s3://bucket/test-');
      await expect(putOnce(path, bytes(''))).rejects.toThrow('expected a path relative to s3://bucket/test-');
    },
  );
});

describe('objects in pieces', () => {
  const large = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

  test('are joined once, and what loses is aborted', async () => {
    const pieces = store({ pieceBytes: 300 });
    const before = server.requests.length;
    expect(await pieces.putOnce('large', large)).toBe(true);
    expect(await getWhole(pieces, 'large')).toEqual(large);
    expect(
      await pieces.putOnce(
        'large',
        large.map((value) => value + 1),
      ),
    ).toBe(false);
    expect(await getWhole(pieces, 'large')).toEqual(large);
    expect(server.uploads.size).toBe(0);
    expect(server.requests.slice(before).filter((request) => request.includes('partNumber'))).toHaveLength(8);
  });

  test('what interrupted writers left is swept, unless it is younger or elsewhere', async () => {
    const own = store();
    const prefix = own.name.slice('s3://bucket/'.length);
    const upload = (key: string, initiated: Date) =>
      server.uploads.set(`${key} ${initiated.getTime()}`, { key, initiated, parts: new Map() });
    for (let k = 0; k < 7; k++) upload(`${prefix}/out/part-${k}`, new Date(1000));
    upload(`${prefix}/out/part-0`, new Date());
    upload(`${prefix}/other`, new Date(1000));
    expect(await own.sweep('out', Date.now() - 60_000)).toBe(7);
    expect([...server.uploads.values()].map(({ key }) => key)).toEqual([`${prefix}/out/part-0`, `${prefix}/other`]);
    expect(await own.sweep('.', Number.POSITIVE_INFINITY)).toBe(2);
  });
});

describe('what a server answers', () => {
  test('a server that ignores If-None-Match is refused', async () => {
    const careless = await startS3('bucket', { ignoresConditions: true });
    const puts = s3Store('s3://bucket', { client: clientOf(careless) }).putOnce('x', bytes('x'));
    await expect(puts).rejects.toThrow('the server ignores If-None-Match on PUT');
    expect([...careless.objects.keys()]).toEqual(['.softgrad-put-once']);
    await careless.end();
  });

  test('a put that meets a removal is tried again', async () => {
    const own = store();
    await own.putOnce('first', bytes(''));
    let conflicts = 0;
    server.intercept = (method) =>
      method === 'PUT' && conflicts++ < 2 ? { status: 409, code: 'ConditionalRequestConflict' } : null;
    expect(await own.putOnce('x', bytes('x'))).toBe(true);
    expect(conflicts).toBe(3);
  });

  test('a put whose answer was lost has put it', async () => {
    const own = store();
    await own.putOnce('first', bytes(''));
    let lost = 0;
    server.intercept = (method, key) => {
      if (method !== 'PUT' || lost++ > 0) return null;
      server.objects.set(key, Buffer.from('x'));
      return { status: 500, code: 'InternalError' };
    };
    expect(await own.putOnce('x', bytes('x'))).toBe(false);
    expect(text(await own.get('x', 0, 9))).toBe('x');
  });

  test.each([
    [403, 'AccessDenied', 'access denied; expected the permissions s3:GetObject'],
    [403, 'InvalidAccessKeyId', 'the server does not know the access key; expected AWS_ACCESS_KEY_ID'],
    [403, 'SignatureDoesNotMatch', 'the secret key does not fit the access key'],
    [403, 'RequestTimeTooSkewed', 'the clocks of this machine and of the server differ by more than 15 minutes'],
    [400, 'ExpiredToken', 'the session token has expired'],
    [400, 'AuthorizationHeaderMalformed', 'signed for another region than that of the bucket; expected AWS_REGION'],
    [404, 'NoSuchBucket', 'no such bucket'],
    [501, 'NotImplemented', 'the server does not implement this request; expected one that honours If-None-Match'],
    [507, 'XMinioStorageFull', 'no space left on the server'],
    [400, 'Peculiar', 'Peculiar (Peculiar, status 400)'],
  ])('%i %s', async (status, code, reason) => {
    const own = store();
    server.intercept = () => ({ status, code });
    await expect(own.putOnce('x', bytes('x'))).rejects.toThrow(
      `${own.name}/.softgrad-put-once: cannot be written: ${reason}`,
    );
    await expect(own.get('x', 0, 1)).rejects.toThrow(`${own.name}/x: cannot be read: ${reason}`);
    await expect(own.list('f')).rejects.toThrow(`${own.name}/f/: cannot be listed: ${reason}`);
  });

  test('a HEAD without a body, no region, no server', async () => {
    const own = store();
    server.intercept = () => ({ status: 403 });
    await expect(own.stat('x')).rejects.toThrow(`${own.name}/x: cannot be read: access denied`);
    const nowhere = new S3Client({ endpoint: 'http://127.0.0.1:1', region: 'x', credentials, maxAttempts: 1 });
    await expect(s3Store('s3://bucket', { client: nowhere }).stat('x')).rejects.toThrow(
      's3://bucket/x: cannot be read: no server answers at this address; expected AWS_ENDPOINT_URL_S3',
    );
    stubEnvironment(server);
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    await expect((await openStore('s3://bucket')).stat('x')).rejects.toThrow('no region; expected AWS_REGION');
  });

  test('no credentials', async () => {
    stubEnvironment(server);
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    await expect((await openStore('s3://bucket')).stat('x')).rejects.toThrow(
      's3://bucket/x: cannot be read: no credentials; expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    );
  });
});

test.each([false, true])('a run has the bits of that in a folder (by classes: %s)', async (shardClasses) => {
  stubEnvironment(server);
  using work = workspace();
  const logits = noise(12 * 20);
  work.write('logits.npy', [12, 20], logits, '<f8');
  const options = { operation: 'softmax', shardClasses, shardBytes: 500, backend: 'cpu' } as const;
  const manifest = await work.run(await work.plan(options));
  const prefix = `test-${stores++}`;
  const root = `s3://bucket/${prefix}`;
  const own = await openStore(root);
  await own.putOnce('logits.npy', await getWhole(work.store, 'logits.npy'));
  const plan = await createPlan(own, { ...options, logits: [`${root}/*.npy`], out: 'out' });
  const found = await runEmbedded(plan, { root, backends, threads: 2 });
  expect(found?.arrays).toEqual(manifest?.arrays);
  expect(await verify(own, 'out')).toMatchObject({ finished: true, damages: [] });
  const reader = await partsReader(await openStore(`${root}/out`), undefined);
  expect((await reader.next(12))?.data).toEqual((await work.read()).data);
  const [part] = manifest?.arrays.softmax?.parts ?? [];
  server.objects.set(`${prefix}/out/${part?.path}`, Buffer.from('short'));
  expect((await verify(own, 'out')).damages).toMatchObject([{ problem: `5 bytes; expected ${part?.byteLength}` }]);
});
