import { SoftgradError } from '@softgrad/core';

/** The code of a response or of a connection failure: `NoSuchBucket`, `ECONNREFUSED`. */
export function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return '';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
}

/** The HTTP status of a response; 0 if there was none. */
export function statusOf(cause: unknown): number {
  const { $metadata } = (cause ?? {}) as { $metadata?: { httpStatusCode?: unknown } };
  return typeof $metadata?.httpStatusCode === 'number' ? $metadata.httpStatusCode : 0;
}

/** Whether the server refused a request for its size; a proxy in front of it responds without a code. */
export function isTooLarge(cause: unknown): boolean {
  return codeOf(cause) === 'EntityTooLarge' || statusOf(cause) === 413;
}

/** @throws ERR_VALUE naming the bucket and the key, the server's error, and what to do */
export function fail(object: string, what: string, cause: unknown): never {
  throw new SoftgradError('ERR_VALUE', `${object}: ${what}: ${reasonOf(cause)}`, { cause });
}

const credentials =
  'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE), or the role of the machine or pod';
const region = 'AWS_REGION, the region of the bucket';
const endpoint = 'AWS_ENDPOINT_URL_S3, the address of the server, unless it is AWS';

const reasons: Readonly<Record<string, string>> = {
  NoSuchKey: 'no such object',
  NotFound: 'no such object',
  NoSuchBucket: 'no such bucket; expected one that exists, because softgrad does not create buckets',
  CredentialsProviderError: `no credentials; expected ${credentials}`,
  InvalidAccessKeyId: `the server does not know the access key; expected ${credentials}`,
  SignatureDoesNotMatch: `the secret key does not fit the access key; expected ${credentials}`,
  ExpiredToken: `the session token has expired; expected ${credentials}`,
  RequestTimeTooSkewed:
    "the clocks of this machine and of the server differ by more than 15 minutes; set this machine's",
  PermanentRedirect: `the bucket is in another region; expected ${region}`,
  AuthorizationHeaderMalformed: `signed for another region than that of the bucket; expected ${region}`,
  IllegalLocationConstraintException: `the bucket is in another region; expected ${region}`,
  NotImplemented: 'the server does not implement this request; expected one that honours If-None-Match on PUT',
  QuotaExceeded: 'the quota of the bucket is used up',
  XMinioStorageFull: 'no space left on the server',
  InsufficientStorage: 'no space left on the server',
  ENOTFOUND: `unknown server name; expected ${endpoint}`,
  EAI_AGAIN: `the name of the server cannot be looked up; expected ${endpoint}`,
  ECONNREFUSED: `no server answers at this address; expected ${endpoint}`,
};

const denied =
  'access denied; expected the permissions s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload, s3:ListBucket and s3:ListBucketMultipartUploads (without s3:ListBucket, S3 also denies access to objects that do not exist)';

function reasonOf(cause: unknown): string {
  const known = reasons[codeOf(cause)];
  if (known !== undefined) return known;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/Region is missing/.test(message)) return `no region; expected ${region}`;
  const status = statusOf(cause);
  if (status === 403) return denied;
  if (status === 301 || status === 307) return `the bucket is in another region; expected ${region}`;
  if (status === 501) return `${reasons.NotImplemented}`;
  if (isTooLarge(cause)) return 'larger than the server accepts';
  if (status === 507) return `${reasons.InsufficientStorage}`;
  return status === 0 ? message : `${message} (${codeOf(cause)}, status ${status})`;
}
