import { unavailable } from './connection.js';
import type { Core } from './peers.js';

type WasmFile = 'tfjs-backend-wasm.wasm' | 'tfjs-backend-wasm-simd.wasm' | 'tfjs-backend-wasm-threaded-simd.wasm';

/** An empty module: only the header. */
const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** @throws ERR_BACKEND_UNAVAILABLE if the page may not compile WebAssembly */
export function assertWasmAllowed(): void {
  try {
    new WebAssembly.Module(emptyModule);
  } catch (cause) {
    throw unavailable(
      'wasm',
      cause,
      "engine wasm cannot compile WebAssembly here: a Content-Security-Policy needs 'wasm-unsafe-eval' in its script-src",
    );
  }
}

/**
 * Disables tfjs's threads if a Content-Security-Policy forbids their scripts: tfjs starts them from blobs that import blobs, and
 * waits forever for workers that do not start.
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
 * The URLs of the .wasm files of tfjs-backend-wasm as a bundler has placed them. Null to use tfjs's defaults: in Node, where the files are
 * next to its code, and if nothing is served at these URLs.
 */
export async function locateWasm(core: Core): Promise<Record<string, string> | null> {
  if (core.env().getBool('IS_NODE')) return null;
  const files = bundledWasm();
  return files !== null && (await isServed(files['tfjs-backend-wasm-simd.wasm'])) ? files : null;
}

/**
 * Bundlers (vite, webpack, rollup's plugins) recognize a literal `new URL(package path, import.meta.url)` and copy the file. Null in a
 * script that is no module, where `import.meta.url` is empty.
 */
function bundledWasm(): Record<WasmFile, string> | null {
  try {
    return {
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
  } catch {
    return null;
  }
}

/** Checks the content type, too, because development servers answer 200 with an HTML page for missing files. */
async function isServed(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { method: 'HEAD' });
    return response.ok && !response.headers.get('content-type')?.includes('text/html');
  } catch {
    return false;
  }
}
