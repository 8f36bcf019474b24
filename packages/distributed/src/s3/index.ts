/**
 * `@softgrad/distributed/s3`: arrays and results in S3-compatible object storage, with the AWS client (`@aws-sdk/client-s3`).
 *
 * @module distributed/s3
 */

export { type S3StoreOptions, s3Store } from './s3-store.js';
