import { S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openStore } from '../src/index.js';
import { type S3StoreOptions, s3Store } from '../src/s3/index.js';
import { getWhole } from '../src/store.js';
import { s3Contract, s3Runs } from './s3-contract.js';
import { accessKeyId, pageLength, type S3Server, startS3 } from './s3-server.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const large = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const accepted = { accessKeyId, secretAccessKey: 'secret' };

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server.end());
afterEach(() => {
  server.intercept = null;
  vi.unstubAllEnvs();
});

const clientOf = (
  { url }: S3Server,
  credentials = accepted,
  checksums: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED' = 'WHEN_SUPPORTED',
) =>
  new S3Client({
    endpoint: url,
    region: 'eu-central-1',
    credentials,
    forcePathStyle: true,
    maxAttempts: 2,
    requestChecksumCalculation: checksums,
  });
let stores = 0;
/** A store at a separate prefix. */
const store = (options: S3StoreOptions = {}) =>
  s3Store(`s3://bucket/own-${stores++}`, { client: clientOf(server), ...options });

/** The environment variables for the tests of a run. */
function stubEnvironment({ url }: S3Server) {
  vi.stubEnv('AWS_ENDPOINT_URL_S3', url);
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
}

describe.each(['all', 'put'] as const)('a server that applies the condition to these requests: %s', (conditions) => {
  let own: S3Server;
  beforeAll(async () => {
    own = await startS3('bucket', conditions);
  });
  afterAll(() => own.end());
  s3Contract(() => ({
    client: (credentials) => clientOf(own, credentials),
    bucket: 'bucket',
    prefix: '',
    pieceBytes: 300,
    pageLength,
  }));
});

describe('a run', () => {
  beforeEach(() => stubEnvironment(server));
  s3Runs(() => ({ bucket: 'bucket', prefix: '' }));
});

describe('paths', () => {
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
    expect(() => s3Store('s3://bucket', { pieceByte: 5 } as never)).toThrow(
      "s3Store: unknown option 'pieceByte' (did you mean 'pieceBytes'?); expected one of client, pieceBytes",
    );
  });

  test.each(['/etc/passwd', '../x', 'a/../../x', 'a\\..\\x', 'a//x', 'x\0y', ''])(
    'refuses the path %j',
    async (path) => {
      const { get, putOnce } = store();
      await expect(get(path, 0, 1)).rejects.toThrow('expected a path relative to s3://bucket/own-');
      await expect(putOnce(path, bytes(''))).rejects.toThrow('expected a path relative to s3://bucket/own-');
    },
  );
});

describe('large objects', () => {
  const requestsOf = ({ requests }: S3Server, word: string) => requests.filter((request) => request.includes(word));

  test.each(['WHEN_SUPPORTED', 'WHEN_REQUIRED'] as const)(
    'are uploaded in pieces with checksums %s, and the upload that loses is aborted',
    async (checksums) => {
      const client = clientOf(server, accepted, checksums);
      const pieces = store({ client, pieceBytes: 250 });
      expect(await pieces.putOnce('large', large)).toBe(true);
      expect(await pieces.putOnce('large', large)).toBe(false);
      const requests = requestsOf(server, `${pieces.name.slice('s3://bucket/'.length)}/large`);
      expect(requests.filter((request) => request.includes('partNumber'))).toHaveLength(8);
      expect(requests.at(-1)).toMatch(/^DELETE .*uploadId/);
      expect(await getWhole(pieces, 'large')).toEqual(large);
      expect(server.uploads.size).toBe(0);
    },
  );

  test.each(['put', 'put, else 501'] as const)(
    'are whole if joined pieces could overwrite an object, which is checked once: %s',
    async (conditions) => {
      const other = await startS3('bucket', conditions);
      const own = s3Store('s3://bucket', { client: clientOf(other), pieceBytes: 300 });
      await own.putOnce('small', bytes('small'));
      expect(requestsOf(other, 'uploads')).toEqual([]);
      const puts = [];
      for (const key of ['large-1', 'large-2', 'large-1']) puts.push(await own.putOnce(key, large));
      expect(puts).toEqual([true, true, false]);
      expect(requestsOf(other, 'large')).toEqual(['large-1', 'large-2', 'large-1'].map((key) => `PUT ${key}?x-id`));
      expect(requestsOf(other, 'uploads')).toHaveLength(1);
      expect(other.uploads.size).toBe(0);
      await other.end();
    },
  );
});

describe('what a server answers', () => {
  test('a server that ignores If-None-Match is refused', async () => {
    const careless = await startS3('bucket', 'none');
    const puts = s3Store('s3://bucket', { client: clientOf(careless) }).putOnce('x', bytes('x'));
    await expect(puts).rejects.toThrow('the server ignores If-None-Match on PUT');
    await expect(puts).rejects.toMatchObject({ code: 'ERR_VALUE' });
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

  test('a put that always meets a conflict fails after five attempts, and other errors at once', async () => {
    const own = store();
    await own.putOnce('first', bytes(''));
    let puts = 0;
    const responses = [
      { status: 409, code: 'ConditionalRequestConflict' },
      { status: 400, code: 'Peculiar' },
    ];
    for (const [k, response] of responses.entries()) {
      server.intercept = (method) => {
        if (method === 'PUT') puts++;
        return response;
      };
      await expect(own.putOnce('x', bytes('x'))).rejects.toThrow(`x: cannot be written: ${response.code}`);
      expect(puts).toBe(5 + k);
    }
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

  test('pieces whose joining was not answered have been joined', async () => {
    const own = store({ pieceBytes: 300 });
    await own.putOnce('first', large);
    server.intercept = (method, key, query) => {
      const upload = server.uploads.get(query.get('uploadId') ?? '');
      if (method !== 'POST' || !upload) return null;
      server.intercept = null;
      server.objects.set(key, Buffer.concat([...upload.parts.values()]));
      server.uploads.delete(query.get('uploadId') ?? '');
      return { status: 500, code: 'InternalError' };
    };
    expect(await own.putOnce('x', large)).toBe(false);
    expect(await getWhole(own, 'x')).toEqual(large);
    expect(server.uploads.size).toBe(0);
  });

  test.each([
    [400, 'EntityTooLarge'],
    [413, undefined],
  ])('an object that is too large for one request, where pieces are not possible: %i %s', async (status, code) => {
    const other = await startS3('bucket', 'put');
    const own = s3Store('s3://bucket', { client: clientOf(other), pieceBytes: 300 });
    await own.putOnce('large', large);
    other.intercept = () => ({ status, ...(code && { code }) });
    const put = own.putOnce('x', large);
    await expect(put).rejects.toMatchObject({ cause: { cause: { $metadata: { httpStatusCode: status } } } });
    await expect(put).rejects.toThrow(
      /^s3:\/\/bucket\/x: cannot be written: 1000 bytes are more than the server accepts in one request, .* expected smaller shards/,
    );
    await expect(own.putOnce('x', bytes('x'))).rejects.toThrow('x: cannot be written: larger than the server accepts');
    await other.end();
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
    server.intercept = null;
    // The check of the server was not completed, so it is made again.
    expect(await own.putOnce('x', bytes('x'))).toBe(true);
  });

  test('a HEAD without a body, no region, no server', async () => {
    const own = store();
    server.intercept = () => ({ status: 403 });
    await expect(own.stat('x')).rejects.toThrow(`${own.name}/x: cannot be read: access denied`);
    const nowhere = new S3Client({
      endpoint: 'http://127.0.0.1:1',
      region: 'x',
      credentials: accepted,
      maxAttempts: 1,
    });
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
