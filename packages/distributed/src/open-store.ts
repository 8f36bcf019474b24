import { SoftgradError } from '@softgrad/core';
import { folderStore } from './folder-store.js';
import type { Store } from './store.js';

/**
 * The store at a location: a folder, or `s3://BUCKET/PREFIX`, for which `@aws-sdk/client-s3` is loaded.
 *
 * @throws ERR_VALUE with instructions if that package is not installed
 * @example
 * const bucket = await openStore('s3://experiments/2026');
 * @example
 * const store = await openStore('/data');
 * (await store.stat('logits.npy'))?.byteLength; // 152, in bytes
 */
export async function openStore(place: string): Promise<Store> {
  if (!place.startsWith('s3://')) return folderStore(place);
  const { s3Store } = await loadS3();
  return s3Store(place);
}

/** @param load an argument for tests, which cannot uninstall the package */
export async function loadS3(load = () => import('./s3/index.js')): Promise<typeof import('./s3/index.js')> {
  try {
    return await load();
  } catch (cause) {
    if (!/Cannot find package '@aws-sdk\/client-s3'/.test(cause instanceof Error ? cause.message : '')) throw cause;
    throw new SoftgradError(
      'ERR_VALUE',
      's3:// needs @aws-sdk/client-s3: npm install @aws-sdk/client-s3, where softgrad is installed',
      { cause },
    );
  }
}
