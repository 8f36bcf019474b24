import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { describe, expect, inject, test } from 'vitest';
import { createPlan, openStore, partsReader, readManifest, runEmbedded, verify } from '../src/index.js';
import { type S3StoreOptions, s3Store } from '../src/s3/index.js';
import { getWhole } from '../src/store.js';
import { backends, noise, workspace } from './workspace.js';

/** A bucket in a server that the tests may use. */
export interface S3Place {
  /** A client for its server with these credentials. By default they are accepted. */
  client(credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }): S3Client;
  readonly bucket: string;
  /** Where the tests write, such as `tests/`. */
  readonly prefix: string;
  /** The smallest piece of an upload that the server accepts. */
  readonly pieceBytes: number;
  /** How many objects or uploads a list has before it continues on another page. */
  readonly pageLength: number;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** Calls `each` for 0 … count − 1, several at once. */
async function forEach(count: number, each: (k: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await each(next++);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

let stores = 0;

/** What the store needs from a server, however it puts large objects once. */
export function s3Contract(placeOf: () => S3Place): void {
  /** A store at a prefix of its own. */
  const store = (options: S3StoreOptions = {}) => {
    const { client, bucket, prefix } = placeOf();
    return s3Store(`s3://${bucket}/${prefix}test-${stores++}`, { client: client(), ...options });
  };
  /** Two pieces and a half, with other bytes for each writer. */
  const large = (writer: number) =>
    Uint8Array.from({ length: 2.5 * placeOf().pieceBytes }, (_, i) => (i + 17 * writer) % 251);
  const uploadsBelow = async (name: string) => {
    const { client, bucket } = placeOf();
    const Prefix = `${name.slice(`s3://${bucket}/`.length)}/`;
    return (await client().send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix }))).Uploads ?? [];
  };

  describe('put once', () => {
    test('the first object stays', async () => {
      const { putOnce, get } = store();
      expect(await putOnce('a/b.txt', bytes('first'))).toBe(true);
      expect(await putOnce('a/b.txt', bytes('second'))).toBe(false);
      expect(text(await get('a/b.txt', 0, 100))).toBe('first');
    });

    test('only one of many concurrent writers writes an object', async () => {
      const shared = store();
      const puts = Array.from({ length: 20 }, (_, k) => shared.putOnce('one', bytes(`writer ${k}`)));
      const winners = (await Promise.all(puts)).flatMap((put, k) => (put ? [k] : []));
      expect(winners).toHaveLength(1);
      expect(text(await shared.get('one', 0, 100))).toBe(`writer ${winners[0]}`);
    });

    test('an object that was removed is written again', async () => {
      const { putOnce, remove, stat } = store();
      await putOnce('x', bytes('first'));
      await remove('x');
      await remove('x');
      expect(await stat('x')).toBeNull();
      expect(await putOnce('x', bytes('again'))).toBe(true);
      expect(await stat('x')).toMatchObject({ path: 'x', byteLength: 5 });
    });

    test('a large object is written once, whatever was written first', async () => {
      const pieces = store({ pieceBytes: placeOf().pieceBytes });
      expect(await pieces.putOnce('large', large(1))).toBe(true);
      expect(await pieces.putOnce('large', large(2))).toBe(false);
      expect(await pieces.putOnce('large', bytes('small'))).toBe(false);
      expect(Buffer.compare(await getWhole(pieces, 'large'), large(1))).toBe(0);
      expect(await pieces.putOnce('small', bytes('small'))).toBe(true);
      expect(await pieces.putOnce('small', large(1))).toBe(false);
      expect(text(await getWhole(pieces, 'small'))).toBe('small');
      expect(await uploadsBelow(pieces.name)).toEqual([]);
    });

    test('only one of several concurrent writers writes a large object', async () => {
      const { client, pieceBytes } = placeOf();
      const first = store({ pieceBytes });
      // Stores of other processes: each has its own client.
      const others = Array.from({ length: 3 }, () => s3Store(first.name, { client: client(), pieceBytes }));
      const puts = [first, ...others].map((own, k) => own.putOnce('one', large(k)));
      const winners = (await Promise.all(puts)).flatMap((put, k) => (put ? [k] : []));
      expect(winners).toHaveLength(1);
      expect(Buffer.compare(await getWhole(first, 'one'), large(winners[0] ?? 0))).toBe(0);
      expect(await uploadsBelow(first.name)).toEqual([]);
    });
  });

  test('reads a range, with fewer bytes only at the end', async () => {
    const { putOnce, get, name } = store();
    await putOnce('x', bytes('0123456789'));
    await putOnce('empty', bytes(''));
    expect(text(await get('x', 3, 4))).toBe('3456');
    expect(text(await get('x', 8, 4))).toBe('89');
    expect([await get('x', 10, 4), await get('x', 3, 0), await get('empty', 0, 9)].map(text)).toEqual(['', '', '']);
    await expect(get('y', 0, 1)).rejects.toThrow(`${name}/y: cannot be read: no such object`);
  });

  test('lists the objects below a folder in order, page by page', async () => {
    const { putOnce, list, stat } = store();
    const names = Array.from({ length: placeOf().pageLength + 4 }, (_, k) => `f/${k % 2 === 0 ? 'a/' : ''}${k}`);
    const paths = [...names, 'fa', 'g'];
    await forEach(paths.length, (k) => putOnce(`${paths[k]}`, bytes(`${paths[k]}`)));
    expect((await list('f')).map(({ path }) => path)).toEqual([...names].sort());
    expect((await list('.')).map(({ path }) => path)).toEqual([...paths].sort());
    expect((await list('f/a')).every(({ path, byteLength }) => path.length === byteLength)).toBe(true);
    expect(await list('nowhere')).toEqual([]);
    expect(await stat('f')).toBeNull();
    expect(await stat('g')).toMatchObject({ path: 'g', byteLength: 1 });
  });

  test('names of objects are any text', async () => {
    const { putOnce, get, list, stat } = store();
    const paths = ['a b', 'a+b', 'a%20b', 'ä/ö', 'a&b<c>', '\'"', 'a=b?c#d', '~!@$^*(),:;', '😀'].map(
      (name) => `n/${name}`,
    );
    for (const path of paths) expect(await putOnce(path, bytes(path))).toBe(true);
    expect((await list('n')).map(({ path }) => path)).toEqual([...paths].sort());
    for (const path of paths) expect(text(await get(path, 0, 99))).toBe(path);
    for (const path of paths) expect(await stat(path)).toMatchObject({ path, byteLength: bytes(path).length });
  });

  test('sweeps the uploads of interrupted writers, unless they are younger or elsewhere', async () => {
    const { sweep, name } = store();
    const { client, bucket, pageLength } = placeOf();
    const s3 = client();
    const prefix = name.slice(`s3://${bucket}/`.length);
    const other = { Bucket: bucket, Key: `${prefix}/outside` };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(other));
    const [{ Initiated: oldest } = {}] = await uploadsBelow(name);
    const count = pageLength + 4;
    await forEach(count, (k) =>
      s3.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: `${prefix}/out/part-${k}` })),
    );
    expect(await sweep('out', Number(oldest))).toBe(0);
    expect(await sweep('out', Number.POSITIVE_INFINITY)).toBe(count);
    expect((await uploadsBelow(name)).map(({ Key }) => Key)).toEqual([other.Key]);
    await s3.send(new AbortMultipartUploadCommand({ ...other, UploadId }));
    expect(await sweep('.', Number.POSITIVE_INFINITY)).toBe(0);
  });

  test('errors name the object and what to do: no bucket, an unknown access key', async () => {
    const { client, bucket } = placeOf();
    const nowhere = s3Store('s3://softgrad-no-such-bucket/x', { client: client() });
    await expect(nowhere.get('y', 0, 1)).rejects.toThrow('s3://softgrad-no-such-bucket/x/y: cannot be read: no such');
    await expect(nowhere.list('f')).rejects.toThrow(
      '/x/f/: cannot be listed: no such bucket; expected one that exists',
    );
    await expect(nowhere.putOnce('y', bytes('y'))).rejects.toThrow('cannot be written: no such bucket');
    const stranger = s3Store(`s3://${bucket}/x`, {
      client: client({ accessKeyId: 'stranger', secretAccessKey: 'x'.repeat(40) }),
    });
    const unknown = 'the server does not know the access key; expected AWS_ACCESS_KEY_ID';
    await expect(stranger.get('y', 0, 1)).rejects.toThrow(`s3://${bucket}/x/y: cannot be read: ${unknown}`);
    await expect(stranger.list('f')).rejects.toThrow(`cannot be listed: ${unknown}`);
    await expect(stranger.putOnce('y', bytes('y'))).rejects.toThrow(`cannot be written: ${unknown}`);
    await expect(stranger.stat('y')).rejects.toThrow(`s3://${bucket}/x/y: cannot be read: access denied`);
  });
}

/** Runs with a store that the environment variables configure. */
export function s3Runs(placeOf: () => Pick<S3Place, 'bucket' | 'prefix'>): void {
  test.each(inject('everything') ? [false, true] : [true])(
    'a run has the bits of that in a folder (by classes: %s)',
    async (shardClasses) => {
      const { bucket, prefix } = placeOf();
      using work = workspace();
      const logits = noise(12 * 20);
      work.write('logits.npy', [12, 20], logits, '<f8');
      const options = { operation: 'softmax', shardClasses, shardBytes: 500, backend: 'cpu' } as const;
      await work.compute(await work.plan(options));
      const manifest = await readManifest(work.store, 'out');
      const root = `s3://${bucket}/${prefix}run-${stores++}`;
      const own = await openStore(root);
      await own.putOnce('logits.npy', await getWhole(work.store, 'logits.npy'));
      const plan = await createPlan(own, { ...options, logits: [`${root}/*.npy`], out: 'out' });
      // Each thread loads the client: in `npm run test:all` one of the runs has two.
      const found = await runEmbedded(plan, { root, backends, threads: inject('everything') && shardClasses ? 2 : 1 });
      expect(found?.arrays).toEqual(manifest?.arrays);
      expect(await verify(own, 'out')).toMatchObject({ finished: true, damages: [] });
      const reader = await partsReader(await openStore(`${root}/out`), undefined);
      expect((await reader.next(12))?.data).toEqual((await work.read()).data);
      const [part] = manifest?.arrays.softmax?.parts ?? [];
      await own.remove(`out/${part?.path}`);
      await own.putOnce(`out/${part?.path}`, bytes('short'));
      expect((await verify(own, 'out')).damages).toMatchObject([{ problem: `5 bytes; expected ${part?.byteLength}` }]);
    },
  );
}
