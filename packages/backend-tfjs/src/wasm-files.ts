import { unavailable } from './connection.js';
import type { Core } from './peers.js';

/** An empty module: the header alone. */
const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** @throws ERR_BACKEND_UNAVAILABLE where the page does not let WebAssembly compile */
export function assertWasmAllowed(): void {
  try {
    new WebAssembly.Module(emptyModule);
  } catch (cause) {
    throw unavailable(
      'wasm',
      cause,
      "engine wasm can't compile WebAssembly here: a Content-Security-Policy needs 'wasm-unsafe-eval' in its script-src",
    );
  }
}

/**
 * Keeps tfjs from threads where a Content-Security-Policy forbids their scripts: it starts them from blobs that load blobs, and
 * waits for ever for those that don't start.
 */
export async function avoidBlockedThreads(core: Core): Promise<void> {
  const flag = 'WASM_HAS_MULTITHREAD_SUPPORT';
  if ((await core.env().getAsync(flag)) && !(await blobThreadsStart())) core.env().set(flag, false);
}

async function blobThreadsStart(): Promise<boolean> {
  const script = (code: string) => URL.createObjectURL(new Blob([code], { type: 'application/javascript' }));
  const imported = script('');
  const main = script(`importScripts('${imported}'); postMessage(0);`);
  try {
    const worker = new Worker(main);
    return await new Promise<boolean>((resolve) => {
      worker.onmessage = () => resolve(true);
      worker.onerror = () => resolve(false);
    }).finally(() => worker.terminate());
  } catch {
    return false;
  } finally {
    for (const url of [imported, main]) URL.revokeObjectURL(url);
  }
}

/**
 * The .wasm files of tfjs-backend-wasm where a bundler has put them, or null to leave it to tfjs: in Node, where it finds them
 * beside its own code, and where nothing is served at the place that was to be expected.
 */
export async function locateWasm(core: Core): Promise<Record<string, string> | null> {
  if (core.env().getBool('IS_NODE')) return null;
  // Bundlers (vite, webpack, rollup's plugins) resolve `new URL(package path, import.meta.url)`, written out like this, and
  // copy the file.
  const files = {
    'tfjs-backend-wasm.wasm': new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm', import.meta.url)
      .href,
    'tfjs-backend-wasm-simd.wasm': new URL(
      '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm',
      import.meta.url,
    ).href,
    'tfjs-backend-wasm-threaded-simd.wasm': new URL(
      '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm',
      import.meta.url,
    ).href,
  };
  return (await isServed(files['tfjs-backend-wasm-simd.wasm'])) ? files : null;
}

/** Development servers answer 200 with a page for what they don't have: the type tells. */
async function isServed(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { method: 'HEAD' });
    return response.ok && !response.headers.get('content-type')?.includes('text/html');
  } catch {
    return false;
  }
}
