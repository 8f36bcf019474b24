// The contract of the store with a real server. It runs if SOFTGRAD_TEST_S3 names a bucket, as in
// `SOFTGRAD_TEST_S3=s3://bucket/prefix AWS_ENDPOINT_URL_S3=http://… npx vitest run test/s3.server.test.ts`; the client is configured by the
// environment variables of the AWS tools. `npm run test:consumers -- s3` starts a server and runs it.
import { randomUUID } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { afterAll, expect, test } from 'vitest';
import { s3Store } from '../src/s3/index.js';
import { s3Contract, s3Runs } from './s3-contract.js';

const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(process.env.SOFTGRAD_TEST_S3 ?? '') ?? [];
const place = {
  client: (credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }) =>
    new S3Client({ forcePathStyle: true, ...(credentials && { credentials }) }),
  bucket,
  prefix: `${prefix}${prefix && '/'}${randomUUID()}/`,
  pieceBytes: 5 * 2 ** 20,
  pageLength: 1000,
};

afterAll(async () => {
  const all = s3Store(`s3://${bucket}/${place.prefix}`, { client: place.client() });
  for (const { path } of await all.list('.')) await all.remove(path);
  await all.sweep('.', Number.POSITIVE_INFINITY);
});

s3Contract(() => place);
s3Runs(() => place);

test('a wrong secret key', async () => {
  const credentials = { accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? '', secretAccessKey: 'wrong'.repeat(8) };
  const store = s3Store(`s3://${bucket}/${place.prefix}`, { client: place.client(credentials) });
  await expect(store.get('x', 0, 1)).rejects.toThrow('cannot be read: the secret key does not fit the access key');
  await expect(store.putOnce('x', new Uint8Array(1))).rejects.toThrow('cannot be written: the secret key does not fit');
});

test('an object above the default size of a piece', async () => {
  const store = s3Store(`s3://${bucket}/${place.prefix}default`, { client: place.client() });
  const bytes = new Uint8Array(65 * 2 ** 20).fill(1);
  expect(await store.putOnce('large', bytes)).toBe(true);
  expect(await store.putOnce('large', bytes.fill(2))).toBe(false);
  expect((await store.stat('large'))?.byteLength).toBe(bytes.length);
  expect(await store.get('large', bytes.length - 2, 9)).toEqual(new Uint8Array(2).fill(1));
});
