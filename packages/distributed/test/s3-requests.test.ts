import type { S3Client } from '@aws-sdk/client-s3';
import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { type S3StoreOptions, s3Store } from '../src/s3/index.js';

interface Request {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** A store whose requests are answered by a function, without a server. */
function storeOf(
  answer: (request: Request) => unknown,
  { checksums = 'WHEN_SUPPORTED', ...options }: S3StoreOptions & { readonly checksums?: string } = {},
) {
  const requests: Request[] = [];
  const client = {
    config: { requestChecksumCalculation: async () => checksums },
    async send(command: { readonly constructor: { readonly name: string }; readonly input: Request['input'] }) {
      const request = { name: command.constructor.name.replace('Command', ''), input: command.input };
      requests.push(request);
      return (await answer(request)) ?? {};
    },
  };
  return { store: s3Store('s3://bucket/a', { client: client as unknown as S3Client, ...options }), requests };
}

const refused = (httpStatusCode: number, name = 'Peculiar') => {
  throw Object.assign(new Error('what happened'), { name, $metadata: { httpStatusCode } });
};
const bytes = (text: string) => new TextEncoder().encode(text);

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  const error = await promise.catch((cause: unknown) => cause);
  return isSoftgradError(error) && [error.code, error.message];
}

describe('the requests to a bucket', () => {
  test('list every page in the order of the paths, without the object that tests the server', async () => {
    const modified = new Date(5000);
    const pages = [
      {
        Contents: [{ Key: 'a/f/c', Size: 7, LastModified: modified }, { Size: 1 }],
        IsTruncated: true,
        NextContinuationToken: 'next',
      },
      { IsTruncated: true, NextContinuationToken: 'last' },
      {
        Contents: [{ Key: 'a/f/b' }, { Key: 'a/f/a', Size: 0 }, { Key: 'a/.softgrad-put-once' }],
        NextContinuationToken: 'not used',
      },
    ];
    const { store, requests } = storeOf(() => pages.shift());
    expect(await store.list('f')).toEqual([
      { path: 'f/a', byteLength: 0, modified: 0 },
      { path: 'f/b', byteLength: 0, modified: 0 },
      { path: 'f/c', byteLength: 7, modified: 5000 },
    ]);
    const page = (ContinuationToken?: string) => ({
      name: 'ListObjectsV2',
      input: { Bucket: 'bucket', Prefix: 'a/f/', ContinuationToken },
    });
    expect(requests).toEqual([page(), page('next'), page('last')]);
    for (const folder of ['.', '']) {
      await store.list(folder);
      expect(requests.at(-1)?.input).toMatchObject({ Prefix: 'a/' });
    }
    expect(await refusal(storeOf(() => refused(400)).store.list('f'))).toEqual([
      'ERR_VALUE',
      's3://bucket/a/f/: cannot be listed: what happened (Peculiar, status 400)',
    ]);
  });

  test('read a range, or nothing', async () => {
    const Body = { transformToByteArray: async () => bytes('xyz') };
    const { store, requests } = storeOf(() => ({ Body }));
    expect(await store.get('x', 3, 4)).toEqual(bytes('xyz'));
    expect(await store.get('x', 3, 0)).toEqual(bytes(''));
    expect(requests).toEqual([{ name: 'GetObject', input: { Bucket: 'bucket', Key: 'a/x', Range: 'bytes=3-6' } }]);
    expect(await storeOf(() => ({})).store.get('x', 0, 1)).toEqual(bytes(''));
    expect(await storeOf(() => refused(416)).store.get('x', 9, 1)).toEqual(bytes(''));
    expect(await refusal(storeOf(() => refused(400)).store.get('x', 0, 1))).toEqual([
      'ERR_VALUE',
      's3://bucket/a/x: cannot be read: what happened (Peculiar, status 400)',
    ]);
  });

  test('ask for the size and the time of an object, and remove it', async () => {
    const found = storeOf(() => ({ ContentLength: 3, LastModified: new Date(7) }));
    expect(await found.store.stat('x')).toEqual({ path: 'x', byteLength: 3, modified: 7 });
    expect(found.requests).toEqual([{ name: 'HeadObject', input: { Bucket: 'bucket', Key: 'a/x' } }]);
    expect(await storeOf(() => ({})).store.stat('x')).toEqual({ path: 'x', byteLength: 0, modified: 0 });
    expect(await storeOf(() => refused(404)).store.stat('x')).toBeNull();
    const broken = storeOf(() => refused(400)).store;
    expect(await refusal(broken.stat('x'))).toEqual([
      'ERR_VALUE',
      's3://bucket/a/x: cannot be read: what happened (Peculiar, status 400)',
    ]);
    expect(await refusal(broken.remove('x'))).toEqual([
      'ERR_VALUE',
      's3://bucket/a/x: cannot be removed: what happened (Peculiar, status 400)',
    ]);
    const { store, requests } = storeOf(() => ({}));
    await store.remove('x');
    expect(requests).toEqual([{ name: 'DeleteObject', input: { Bucket: 'bucket', Key: 'a/x' } }]);
  });

  /** A server with conditional puts; `probed` puts have tested that. */
  const conditional = (answer: (request: Request) => unknown = () => ({})) => {
    let probed = 0;
    return (request: Request) => {
      if (request.input.Key === 'a/.softgrad-put-once') return probed++ > 0 ? refused(412) : {};
      return answer(request);
    };
  };

  test('test the server before the first object only, and again if that failed', async () => {
    let isDown = true;
    const { store, requests } = storeOf(conditional(() => (isDown ? refused(400) : {})));
    const keys = () => requests.splice(0).map(({ input }) => input.Key);
    const probe = 'a/.softgrad-put-once';
    isDown = false;
    expect(await store.putOnce('x', bytes('x'))).toBe(true);
    expect(keys()).toEqual([probe, probe, 'a/x']);
    expect(await store.putOnce('y', bytes('y'))).toBe(true);
    expect(keys()).toEqual(['a/y']);
    let failures = 0;
    const later = storeOf((request) => (failures++ < 1 ? refused(400) : conditionalLater(request)));
    const conditionalLater = conditional();
    expect(await refusal(later.store.putOnce('x', bytes('x')))).toEqual([
      'ERR_VALUE',
      `s3://bucket/${probe}: cannot be written: what happened (Peculiar, status 400)`,
    ]);
    expect(await later.store.putOnce('x', bytes('x'))).toBe(true);
    expect(later.requests.map(({ input }) => input.Key)).toEqual([probe, probe, probe, 'a/x']);
    const careless = storeOf(() => ({}));
    expect(await refusal(careless.store.putOnce('x', bytes('x')))).toEqual([
      'ERR_VALUE',
      `s3://bucket/${probe}: the server ignores If-None-Match on PUT, with which workers could overwrite each other's parts; expected a server that honours it`,
    ]);
    // An object that is there from an earlier test shows it too.
    const { store: tested, requests: once } = storeOf(({ input }) => (input.Key === probe ? refused(412) : {}));
    await tested.putOnce('x', bytes('x'));
    expect(once.map(({ input }) => input.Key)).toEqual([probe, 'a/x']);
  });

  test('put an object on condition, five times if there are conflicts', async () => {
    const { store, requests } = storeOf(conditional(() => refused(409)));
    expect(await refusal(store.putOnce('x', bytes('x')))).toEqual([
      'ERR_VALUE',
      's3://bucket/a/x: cannot be written: what happened (Peculiar, status 409)',
    ]);
    const put = { name: 'PutObject', input: { Bucket: 'bucket', Key: 'a/x', Body: bytes('x'), IfNoneMatch: '*' } };
    expect(requests.slice(2)).toEqual(Array.from({ length: 5 }, () => put));
    const failing = storeOf(conditional(() => refused(400)));
    await refusal(failing.store.putOnce('x', bytes('x')));
    expect(failing.requests).toHaveLength(3);
    expect(await storeOf(conditional(() => refused(412))).store.putOnce('x', bytes('x'))).toBe(false);
  });

  test.each([
    ['WHEN_SUPPORTED', 'CRC32'],
    ['WHEN_REQUIRED', undefined],
  ])('put a large object in numbered pieces: %s', async (checksums, ChecksumAlgorithm) => {
    const { store, requests } = storeOf(
      conditional(({ name, input }) => {
        if (name === 'CreateMultipartUpload') return { UploadId: 'id' };
        return { ETag: `tag ${input.PartNumber}`, ChecksumCRC32: `sum ${input.PartNumber}` };
      }),
      { pieceBytes: 4, checksums },
    );
    // As many bytes as fit are one piece, which is put whole.
    expect(await store.putOnce('small', bytes('1234'))).toBe(true);
    expect(requests.at(-1)?.name).toBe('PutObject');
    // The first object in pieces follows a test of the server.
    expect(await store.putOnce('first', bytes('12345'))).toBe(true);
    requests.length = 0;
    expect(await store.putOnce('x', bytes('123456789'))).toBe(true);
    const at = { Bucket: 'bucket', Key: 'a/x' };
    const part = (PartNumber: number, text: string) => ({
      name: 'UploadPart',
      input: { ...at, UploadId: 'id', PartNumber, Body: bytes(text) },
    });
    expect(requests).toEqual([
      { name: 'CreateMultipartUpload', input: { ...at, ChecksumAlgorithm } },
      part(1, '1234'),
      part(2, '5678'),
      part(3, '9'),
      {
        name: 'CompleteMultipartUpload',
        input: {
          ...at,
          UploadId: 'id',
          IfNoneMatch: '*',
          MultipartUpload: {
            Parts: [1, 2, 3].map((n) => ({ ETag: `tag ${n}`, ChecksumCRC32: `sum ${n}`, PartNumber: n })),
          },
        },
      },
    ]);
  });

  test('abort the pieces of an object that is there already or cannot be completed', async () => {
    for (const [status, expected] of [
      [412, false],
      [400, ['ERR_VALUE', 's3://bucket/a/x: cannot be written: what happened (Peculiar, status 400)']],
    ] as const) {
      const { store, requests } = storeOf(
        conditional(({ name }) => {
          if (name === 'CreateMultipartUpload') return { UploadId: 'id' };
          return name === 'CompleteMultipartUpload' ? refused(status) : name === 'AbortMultipartUpload' && refused(500);
        }),
        { pieceBytes: 40 },
      );
      const put = store.putOnce('x', new Uint8Array(41));
      expect(status === 412 ? await put : await refusal(put)).toEqual(expected);
      expect(requests.at(-1)).toEqual({
        name: 'AbortMultipartUpload',
        input: { Bucket: 'bucket', Key: 'a/x', UploadId: 'id' },
      });
    }
  });

  test('sweep the uploads that began before a time, page by page', async () => {
    const upload = (UploadId: string, time?: number) => ({
      Key: 'a/f/x',
      UploadId,
      ...(time !== undefined && { Initiated: new Date(time) }),
    });
    const scene = (answer: (id: unknown) => unknown) => {
      const pages = [
        {
          Uploads: [upload('old', 999), upload('at the time', 1000), { UploadId: 'without a key' }],
          IsTruncated: true,
          NextKeyMarker: 'key',
          NextUploadIdMarker: 'marker',
        },
        { IsTruncated: true, NextKeyMarker: 'second' },
        { Uploads: [upload('without a time')], NextKeyMarker: 'not used' },
      ];
      return storeOf(({ name, input }) => (name === 'ListMultipartUploads' ? pages.shift() : answer(input.UploadId)));
    };
    // One that is gone by now counts too.
    const { store, requests } = scene((id) => (id === 'old' ? refused(404) : {}));
    expect(await store.sweep('f', 1000)).toBe(2);
    const page = (input: object) => ({
      name: 'ListMultipartUploads',
      input: { Bucket: 'bucket', Prefix: 'a/f/', ...input },
    });
    const abort = (UploadId: string) => ({
      name: 'AbortMultipartUpload',
      input: { Bucket: 'bucket', Key: 'a/f/x', UploadId },
    });
    expect(requests).toEqual([
      page({}),
      abort('old'),
      page({ KeyMarker: 'key', UploadIdMarker: 'marker' }),
      page({ KeyMarker: 'second', UploadIdMarker: undefined }),
      abort('without a time'),
    ]);
    expect(await refusal(scene(() => refused(400)).store.sweep('f', 1000))).toEqual([
      'ERR_VALUE',
      's3://bucket/a/f/x: its upload cannot be aborted: what happened (Peculiar, status 400)',
    ]);
    const broken = storeOf(() => refused(400));
    expect(await refusal(broken.store.sweep('.', 1000))).toEqual([
      'ERR_VALUE',
      's3://bucket/a/: uploads cannot be listed: what happened (Peculiar, status 400)',
    ]);
  });

  test('name every reason of a server', async () => {
    const message = async (status: number, name: string) =>
      String(await refusal(storeOf(() => refused(status, name)).store.get('x', 0, 1))).replace(
        /^.*cannot be read: /,
        '',
      );
    for (const [name, reason] of [
      ['NoSuchBucket', 'no such bucket; expected one that exists, because softgrad does not create buckets'],
      [
        'CredentialsProviderError',
        'no credentials; expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE), or the role of the machine or pod',
      ],
      [
        'RequestTimeTooSkewed',
        "the clocks of this machine and of the server differ by more than 15 minutes; set this machine's",
      ],
      [
        'IllegalLocationConstraintException',
        'the bucket is in another region; expected AWS_REGION, the region of the bucket',
      ],
      ['QuotaExceeded', 'the quota of the bucket is used up'],
      ['InsufficientStorage', 'no space left on the server'],
      ['EntityTooLarge', 'larger than the server accepts'],
    ] as const)
      expect(await message(400, name)).toBe(reason);
  });
});
