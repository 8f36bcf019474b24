import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';

/**
 * The part of Amazon's S3 API that the store uses, in memory, with the responses that its reference documents: PutObject and
 * CompleteMultipartUpload with `If-None-Match: *` (412 PreconditionFailed, 409 ConditionalRequestConflict), GetObject with a range (206, 416
 * InvalidRange), HeadObject, ListObjectsV2 and ListMultipartUploads in pages, DeleteObject and AbortMultipartUpload (204). The access key, the CRC-32 of
 * a body and the list of the parts that are joined are checked, but no signature.
 *
 * It is written from that reference. `s3Contract` runs against it and, in s3.server.test.ts, against a real server.
 */
export interface S3Server {
  readonly url: string;
  readonly objects: Map<string, Buffer>;
  readonly uploads: Map<string, Upload>;
  /** Method, path and query of every request. */
  readonly requests: string[];
  /** Its result, if any, is the response to the next request. */
  intercept: ((method: string, key: string, query: URLSearchParams) => Answer | null) | null;
  end(): Promise<void>;
}

interface Upload {
  readonly key: string;
  readonly initiated: Date;
  /** Whether its parts must have a CRC-32, which joining names again. */
  readonly checked: boolean;
  readonly parts: Map<number, Buffer>;
}

interface Answer {
  readonly status: number;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** Objects and uploads for each page, small so that a few of them take several pages. */
export const pageLength = 3;

/** The only access key that the server knows. */
export const accessKeyId = 'key';

/**
 * Which requests apply `If-None-Match: *`: both, as Amazon documents; only PutObject, while CompleteMultipartUpload overwrites, as Ceph 16.2.15 does, or
 * responds with 501; or none.
 */
export type Conditions = 'all' | 'put' | 'put, else 501' | 'none';

export async function startS3(bucket = 'bucket', conditions: Conditions = 'all'): Promise<S3Server> {
  const objects = new Map<string, Buffer>();
  const modified = new Map<string, Date>();
  const uploads = new Map<string, Upload>();
  const requests: string[] = [];
  const put = (key: string, bytes: Buffer, condition: string | undefined): Answer => {
    if (condition === '*' && objects.has(key)) return { status: 412, code: 'PreconditionFailed' };
    objects.set(key, bytes);
    modified.set(key, new Date(Math.floor(Date.now() / 1000) * 1000));
    return { status: 200, headers: { etag: etagOf(bytes) } };
  };
  const answer = (request: IncomingMessage, body: Buffer): Answer => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const [, name, ...rest] = decodeURIComponent(pathname).split('/');
    const key = rest.join('/');
    const method = request.method ?? '';
    requests.push(`${method} ${key}${searchParams.size > 0 ? `?${[...searchParams.keys()].join('&')}` : ''}`);
    const intercepted = server.intercept?.(method, key, searchParams);
    if (intercepted) return intercepted;
    if (!request.headers.authorization?.includes(`Credential=${accessKeyId}/`)) {
      return { status: 403, code: 'InvalidAccessKeyId' };
    }
    if (name !== bucket) return { status: 404, code: 'NoSuchBucket' };
    const uploadId = searchParams.get('uploadId');
    const upload = uploadId === null ? undefined : uploads.get(uploadId);
    if (uploadId !== null && upload === undefined) return { status: 404, code: 'NoSuchUpload' };
    const checksum = request.headers['x-amz-checksum-crc32'];
    if (checksum !== undefined && checksum !== checksumOf(payloadOf(request, body))) {
      return { status: 400, code: 'BadDigest' };
    }
    if (method === 'PUT' && upload) {
      const bytes = payloadOf(request, body);
      const number = Number(searchParams.get('partNumber'));
      if (!(number >= 1 && number <= 10_000)) return { status: 400, code: 'InvalidArgument' };
      // Checksum Type mismatch occurred, expected checksum Type: null, actual checksum Type: crc32.
      if (upload.checked !== (checksum !== undefined)) return { status: 400, code: 'InvalidRequest' };
      upload.parts.set(number, bytes);
      return {
        status: 200,
        headers: { etag: etagOf(bytes), ...(checksum && { 'x-amz-checksum-crc32': `${checksum}` }) },
      };
    }
    const condition = request.headers['if-none-match'];
    if (method === 'PUT') return put(key, payloadOf(request, body), conditions === 'none' ? undefined : condition);
    if (method === 'POST' && searchParams.has('uploads')) {
      const id = randomUUID();
      const checked = request.headers['x-amz-checksum-algorithm'] === 'CRC32';
      uploads.set(id, { key, initiated: new Date(), checked, parts: new Map() });
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
    }
    if (method === 'POST' && upload) {
      if (conditions === 'put, else 501') return { status: 501, code: 'NotImplemented' };
      const parts = partsNamedIn(body.toString(), upload);
      if (parts === null) return { status: 400, code: 'InvalidPart' };
      const done = put(upload.key, Buffer.concat(parts), conditions === 'all' ? condition : undefined);
      if (done.status !== 200) return done;
      uploads.delete(uploadId ?? '');
      return xml('<CompleteMultipartUploadResult></CompleteMultipartUploadResult>');
    }
    if (method === 'DELETE') {
      if (uploadId === null) objects.delete(key);
      else uploads.delete(uploadId);
      return { status: 204 };
    }
    if (key === '' && searchParams.has('uploads')) return listUploads(searchParams);
    if (key === '') return listObjects(searchParams);
    const object = objects.get(key);
    if (object === undefined) return { status: 404, code: 'NoSuchKey' };
    return read(object, modified.get(key) ?? new Date(0), request.headers.range);
  };
  const listObjects = (query: URLSearchParams): Answer => {
    const after = query.get('continuation-token') ?? '';
    const keys = [...objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? '') && key > after).sort();
    const page = keys.slice(0, pageLength);
    const next =
      keys.length > pageLength ? `<NextContinuationToken>${escapeXml(page.at(-1) ?? '')}</NextContinuationToken>` : '';
    const contents = page.map(
      (key) =>
        `<Contents><Key>${escapeXml(key)}</Key><Size>${objects.get(key)?.length}</Size><LastModified>${(modified.get(key) ?? new Date(0)).toISOString()}</LastModified></Contents>`,
    );
    return xml(
      `<ListBucketResult><IsTruncated>${next !== ''}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`,
    );
  };
  const listUploads = (query: URLSearchParams): Answer => {
    const after = `${query.get('key-marker') ?? ''}\0${query.get('upload-id-marker') ?? ''}`;
    const all = [...uploads]
      .map(([id, upload]) => ({ id, ...upload, order: `${upload.key}\0${id}` }))
      .filter(({ key, order }) => key.startsWith(query.get('prefix') ?? '') && order > after)
      .sort((a, b) => (a.order < b.order ? -1 : 1));
    const page = all.slice(0, pageLength);
    const next = all.length > pageLength;
    const entries = page.map(
      ({ id, key, initiated }) =>
        `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId><Initiated>${initiated.toISOString()}</Initiated></Upload>`,
    );
    const markers = next
      ? `<NextKeyMarker>${escapeXml(page.at(-1)?.key ?? '')}</NextKeyMarker><NextUploadIdMarker>${page.at(-1)?.id}</NextUploadIdMarker>`
      : '';
    return xml(
      `<ListMultipartUploadsResult><IsTruncated>${next}</IsTruncated>${markers}${entries.join('')}</ListMultipartUploadsResult>`,
    );
  };
  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    send(request, response, answer(request, Buffer.concat(chunks)));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: S3Server = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    objects,
    uploads,
    requests,
    intercept: null,
    end: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
}

function read(object: Buffer, modified: Date, range: string | undefined): Answer {
  const headers = { 'last-modified': modified.toUTCString(), etag: etagOf(object), 'accept-ranges': 'bytes' };
  if (range === undefined) return { status: 200, headers, body: object };
  const [, first = '', last = ''] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
  const start = Number(first);
  if (start >= object.length) return { status: 416, code: 'InvalidRange' };
  const end = Math.min(Number(last) + 1, object.length);
  const contentRange = { 'content-range': `bytes ${start}-${end - 1}/${object.length}` };
  return { status: 206, headers: { ...headers, ...contentRange }, body: object.subarray(start, end) };
}

function send(request: IncomingMessage, response: ServerResponse, { status, code, headers = {}, body }: Answer): void {
  const error = code && `<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  const content = body ?? (error ? `<?xml version="1.0" encoding="UTF-8"?>${error}` : '');
  const type = error || typeof body === 'string' ? { 'content-type': 'application/xml' } : {};
  response.writeHead(status, { ...type, 'content-length': String(Buffer.byteLength(content)), ...headers });
  // The response to a HEAD has no body, even if it is an error.
  response.end(request.method === 'HEAD' ? undefined : content);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function xml(body: string): Answer {
  return { status: 200, body: `<?xml version="1.0" encoding="UTF-8"?>${body}` };
}

/** The parts that a request to join them names, in its order; null if one is not that of the upload, or not in order. */
function partsNamedIn(body: string, { parts, checked }: Upload): readonly Buffer[] | null {
  const numbers: number[] = [];
  const joined: Buffer[] = [];
  for (const [, part = ''] of body.matchAll(/<Part>(.*?)<\/Part>/gs)) {
    const field = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`).exec(part)?.[1]?.replaceAll('&quot;', '"');
    const bytes = parts.get(Number(field('PartNumber')));
    if (bytes === undefined || field('ETag') !== etagOf(bytes)) return null;
    if (checked && field('ChecksumCRC32') !== checksumOf(bytes)) return null;
    numbers.push(Number(field('PartNumber')));
    joined.push(bytes);
  }
  const inOrder = numbers.every((number, k) => k === 0 || number > (numbers[k - 1] ?? 0));
  return joined.length > 0 && inOrder ? joined : null;
}

function checksumOf(bytes: Buffer): string {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(bytes));
  return checksum.toString('base64');
}

/** The bytes of a body without the chunk headers of `aws-chunked`. */
function payloadOf({ headers }: IncomingMessage, body: Buffer): Buffer {
  if (!/aws-chunked/.test(headers['content-encoding'] ?? '')) return body;
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = body.indexOf('\r\n', at);
    const length = Number.parseInt(body.subarray(at, line).toString(), 16);
    if (!(length > 0)) return Buffer.concat(chunks);
    chunks.push(body.subarray(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
}

function etagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}
