// Creates a bucket and prints, as one line of JSON, to which requests the server applies `If-None-Match: *`. Argument: the bucket.
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

const client = new S3Client({ forcePathStyle: true });
const [, , Bucket] = process.argv;
const at = { Bucket, Key: 'conditions' };
await client.send(new CreateBucketCommand({ Bucket }));
const put = () => client.send(new PutObjectCommand({ ...at, Body: 'x', IfNoneMatch: '*' }));
await put();
console.log(JSON.stringify({ put: await effect(put), join: await effect(join) }));

async function effect(request) {
  try {
    await request();
    return 'ignored';
  } catch (error) {
    const status = error.$metadata?.httpStatusCode;
    return status === 412 ? 'applied' : `refused with ${status}`;
  }
}

async function join() {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(at));
  const upload = { ...at, UploadId };
  const { ETag } = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'y' }));
  const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
  await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload, IfNoneMatch: '*' }));
}
