import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import picomatch from 'picomatch';
import { reached } from '../points.js';
import type { Store, StoredObject } from '../store.js';
import { codeOf, fail, isTooLarge, statusOf } from './errors.js';

/** How a bucket is accessed. */
export interface S3StoreOptions {
  /** Default: a client configured by the environment and the files of the AWS tools (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_S3 …). */
  readonly client?: S3Client | undefined;
  /**
   * Objects larger than this are uploaded in pieces of this size: at least 5 MiB, at most 10,000 pieces. Default 64 MiB. A server that ignores
   * `If-None-Match` when it joins the pieces gets them whole.
   */
  readonly pieceBytes?: number | undefined;
}

const optionNames = namesOf<S3StoreOptions>({ client: true, pieceBytes: true });

interface Bucket {
  readonly client: S3Client;
  readonly name: string;
  readonly pieceBytes: number;
}

/** The object whose writing showed that the server supports conditional puts. */
const probe = '.softgrad-put-once';
const probeContent = new TextEncoder().encode('softgrad puts every object once\n');

/**
 * A store in a bucket, at `s3://BUCKET` or below `s3://BUCKET/PREFIX`. Objects are written once with `If-None-Match: *`, which the server must
 * support: the first put of a store checks this. The first put of a large object checks whether the server also applies it to objects in pieces.
 *
 * @throws ERR_VALUE for an invalid URL or an unknown option
 * @example
 * const store = s3Store('s3://experiments/2026', { client: new S3Client({ region: 'eu-central-1' }) });
 * const plan = await createPlan(store, { operation: 'softmax', logits: ['logits/*.npy'], out: 'probabilities', backend: 'cpu' });
 */
export function s3Store(url: string, options: S3StoreOptions = {}): Store {
  const { client = clientOfEnvironment(), pieceBytes = 64 * 2 ** 20 } = checkOptions('s3Store', options, optionNames);
  const { bucket: name, prefix } = parseUrl(url);
  const bucket: Bucket = { client, name, pieceBytes };
  const root = `s3://${name}/${prefix}`.replace(/\/$/, '');
  const keyOf = (path: string) => prefix + checkPath(path, root);
  const pathOf = (key: string) => key.slice(prefix.length);
  const checkConditionalPut = once(() => checkPut(bucket, prefix + probe));
  const canPutInPieces = once(() => appliesToPieces(bucket, prefix + probe));
  const list = async (folder: string) => {
    const below = folder === '.' || folder === '' ? prefix : `${keyOf(folder)}/`;
    const found = await listBelow(bucket, below);
    return found.map((object) => ({ ...object, path: pathOf(object.path) })).filter(({ path }) => path !== probe);
  };
  return {
    name: root,
    locate: (target) => locate(root, target),
    async match(pattern) {
      const { base } = picomatch.scan(pattern);
      const matches = picomatch(pattern);
      return (await list(base)).map(({ path }) => path).filter((path) => matches(path));
    },
    get: async (path, start, length) => getRange(bucket, keyOf(path), start, length),
    async stat(path) {
      const found = await head(bucket, keyOf(path));
      return found && { ...found, path };
    },
    async putOnce(path, bytes) {
      const key = keyOf(path);
      await checkConditionalPut();
      const put = bytes.length <= pieceBytes ? putWhole : (await canPutInPieces()) ? putInPieces : putLarge;
      reached('store:temporary', path);
      const wasPut = await putUnlessPresent(bucket, key, bytes, put);
      reached('store:linked', path);
      return wasPut;
    },
    list,
    async remove(path) {
      const key = keyOf(path);
      await send(bucket, key, 'cannot be removed', (at) => client.send(new DeleteObjectCommand(at)));
    },
    sweep: async (folder, before) => abortUploads(bucket, folder === '.' ? prefix : `${keyOf(folder)}/`, before),
  };
}

/** A check whose result is kept. If it fails, the next call repeats it. */
function once<T>(check: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= check().catch((error) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}

/** Other endpoints than AWS rarely have a host name for each bucket. */
function clientOfEnvironment(): S3Client {
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL } = process.env;
  return new S3Client({ forcePathStyle: Boolean(AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL) });
}

function parseUrl(url: string): { readonly bucket: string; readonly prefix: string } {
  const [, bucket, rest = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(url) ?? [];
  const parts = rest.split('/').filter((part) => part !== '');
  if (bucket === undefined || parts.includes('..') || parts.includes('.')) {
    const name = bucket === undefined ? '; the name of a bucket has 3 to 63 lower-case letters, digits, . or -' : '';
    throw new SoftgradError('ERR_VALUE', `${url}: expected s3://BUCKET or s3://BUCKET/PREFIX${name}`);
  }
  return { bucket, prefix: parts.map((part) => `${part}/`).join('') };
}

/** The path of a user's argument: relative to the store, or an s3:// URL within it. */
function locate(root: string, target: string): string {
  const absolute = /^s3:\/\//.test(target);
  const inside = !absolute || target.startsWith(`${root}/`);
  const parts = (absolute ? target.slice(root.length + 1) : target)
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  if (!inside || target.startsWith('/') || parts.includes('..')) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${target}: outside of ${root}, the store that all workers can access; expected a path in it, or another --store`,
    );
  }
  return parts.join('/');
}

/** @throws ERR_VALUE for an invalid path or one outside of the store */
function checkPath(path: string, root: string): string {
  const parts = path.split('/');
  if (parts.every((part) => part !== '' && part !== '.' && part !== '..') && !/[\\\0]/.test(path)) return path;
  throw new SoftgradError(
    'ERR_VALUE',
    `${JSON.stringify(path)}: expected a path relative to ${root} without leaving it`,
  );
}

interface At {
  readonly Bucket: string;
  readonly Key: string;
}

/** A request about one object; its error names the object. */
async function send<T>({ name }: Bucket, key: string, what: string, request: (at: At) => Promise<T>): Promise<T> {
  try {
    return await request({ Bucket: name, Key: key });
  } catch (cause) {
    return fail(`s3://${name}/${key}`, what, cause);
  }
}

async function getRange(bucket: Bucket, key: string, start: number, length: number): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  return send(bucket, key, 'cannot be read', async (at) => {
    const Range = `bytes=${start}-${start + length - 1}`;
    try {
      const { Body } = await bucket.client.send(new GetObjectCommand({ ...at, Range }));
      return (await Body?.transformToByteArray()) ?? new Uint8Array(0);
    } catch (cause) {
      // A range that begins after the end has no bytes.
      if (statusOf(cause) === 416) return new Uint8Array(0);
      throw cause;
    }
  });
}

async function head(bucket: Bucket, key: string): Promise<Omit<StoredObject, 'path'> | null> {
  return send(bucket, key, 'cannot be read', async (at) => {
    try {
      const { ContentLength = 0, LastModified } = await bucket.client.send(new HeadObjectCommand(at));
      return { byteLength: ContentLength, modified: LastModified?.getTime() ?? 0 };
    } catch (cause) {
      if (statusOf(cause) === 404) return null;
      throw cause;
    }
  });
}

/** The objects whose keys begin with the prefix, sorted by key. */
async function listBelow({ client, name }: Bucket, prefix: string): Promise<readonly StoredObject[]> {
  const objects: StoredObject[] = [];
  let token: string | undefined;
  do {
    const page: ListObjectsV2CommandOutput = await client
      .send(new ListObjectsV2Command({ Bucket: name, Prefix: prefix, ContinuationToken: token }))
      .catch((cause) => fail(`s3://${name}/${prefix}`, 'cannot be listed', cause));
    for (const { Key, Size = 0, LastModified } of page.Contents ?? []) {
      if (Key !== undefined) objects.push({ path: Key, byteLength: Size, modified: LastModified?.getTime() ?? 0 });
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
  return objects.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** @throws ERR_VALUE if a second put of the same object succeeds, because then objects could be overwritten */
async function checkPut(bucket: Bucket, key: string): Promise<void> {
  const put = () => putUnlessPresent(bucket, key, probeContent, putWhole);
  if (!(await put()) || !(await put())) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `s3://${bucket.name}/${key}: the server ignores If-None-Match on PUT, with which workers could overwrite each other's parts; expected a server that honours it`,
  );
}

/**
 * Whether the server also applies `If-None-Match` when it joins the pieces of an object. Ceph 16, for example, ignores it there and overwrites the
 * object. The object of the key must exist.
 */
async function appliesToPieces(bucket: Bucket, key: string): Promise<boolean> {
  const put: Put = async (...object) => {
    try {
      await putInPieces(...object);
    } catch (cause) {
      // Some servers refuse the condition or the pieces as not implemented.
      if (statusOf(cause) !== 501) throw cause;
    }
  };
  return !(await putUnlessPresent(bucket, key, probeContent, put));
}

/**
 * How often a put is tried if a removal or another put of the same object happens at the same time (status 409), or if its upload is unknown: it was
 * aborted, or joined by a request whose response was lost.
 */
const attempts = 5;

/**
 * False if there is an object with this key already. If the response to a put is lost and the client tries again, it finds its own object:
 * then the result is false, with the same bytes.
 */
async function putUnlessPresent(bucket: Bucket, key: string, bytes: Uint8Array, put: Put): Promise<boolean> {
  return send(bucket, key, 'cannot be written', async (at) => {
    for (let attempt = 1; ; attempt++) {
      try {
        await put(bucket, at, bytes);
        return true;
      } catch (cause) {
        if (statusOf(cause) === 412) return false;
        const again = statusOf(cause) === 409 || codeOf(cause) === 'NoSuchUpload';
        if (!again || attempt === attempts) throw cause;
      }
    }
  });
}

/** Puts an object; status 412 if there is one with this key already. */
type Put = (bucket: Bucket, at: At, bytes: Uint8Array) => Promise<void>;

async function putWhole({ client }: Bucket, at: At, bytes: Uint8Array): Promise<void> {
  await client.send(new PutObjectCommand({ ...at, Body: bytes, IfNoneMatch: '*' }));
}

/** Puts a large object in one request, because the server would overwrite an object when it joins pieces. */
async function putLarge(bucket: Bucket, at: At, bytes: Uint8Array): Promise<void> {
  try {
    await putWhole(bucket, at, bytes);
  } catch (cause) {
    if (!isTooLarge(cause)) throw cause;
    throw new Error(
      `${bytes.length} bytes are more than the server accepts in one request, and it does not apply If-None-Match to CompleteMultipartUpload, with which pieces would be joined only once; expected smaller shards (--shard-bytes)`,
      { cause },
    );
  }
}

/** The object appears when its pieces are joined; the condition applies to that request. */
async function putInPieces({ client, pieceBytes }: Bucket, at: At, bytes: Uint8Array): Promise<void> {
  // Pieces have the checksum algorithm that the upload was begun with, or none.
  const checked = (await client.config.requestChecksumCalculation()) === 'WHEN_SUPPORTED';
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({ ...at, ChecksumAlgorithm: checked ? 'CRC32' : undefined }),
  );
  const upload = { ...at, UploadId };
  try {
    const Parts: CompletedPart[] = [];
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      const PartNumber = Parts.length + 1;
      const Body = bytes.subarray(start, start + pieceBytes);
      const { ETag, ChecksumCRC32 } = await client.send(new UploadPartCommand({ ...upload, PartNumber, Body }));
      Parts.push({ ETag, ChecksumCRC32, PartNumber });
    }
    await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, IfNoneMatch: '*' }));
  } catch (cause) {
    // If it cannot be aborted now, it is removed later.
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => {});
    throw cause;
  }
}

/** Aborts multipart uploads that began before a time and were not finished. */
async function abortUploads({ client, name }: Bucket, prefix: string, before: number): Promise<number> {
  let swept = 0;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {};
  while (marker !== undefined) {
    const page: ListMultipartUploadsCommandOutput = await client
      .send(new ListMultipartUploadsCommand({ Bucket: name, Prefix: prefix, ...marker }))
      .catch((cause) => fail(`s3://${name}/${prefix}`, 'uploads cannot be listed', cause));
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || (Initiated?.getTime() ?? 0) >= before) continue;
      await client
        .send(new AbortMultipartUploadCommand({ Bucket: name, Key, UploadId }))
        .catch(
          (cause) => statusOf(cause) === 404 || fail(`s3://${name}/${Key}`, 'its upload cannot be aborted', cause),
        );
      swept++;
    }
    marker = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined;
  }
  return swept;
}
