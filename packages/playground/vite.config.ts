import { defineConfig, type Plugin } from 'vite';

/** Packages that only Node can load: in the page importing one fails with a reason, which its list shows. */
const nodeOnly = ['onnxruntime-node'];

function refuseNodeOnly(): Plugin {
  const prefix = '\0node-only:';
  return {
    name: 'softgrad:node-only',
    enforce: 'pre',
    resolveId: (id) => (nodeOnly.includes(id) ? `${prefix}${id}` : null),
    load: (id) => (id.startsWith(prefix) ? `throw new Error('${id.slice(prefix.length)} runs in Node only');` : null),
  };
}

export default defineConfig({
  base: './',
  plugins: [refuseNodeOnly()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    // Inlined assets are data: URLs, which the page's Content-Security-Policy refuses.
    assetsInlineLimit: 0,
    // Of 28 MB of WebAssembly it would take longer than the rest of the build.
    reportCompressedSize: false,
    // Engines are large by nature and load on demand; the first load has a test of its own.
    chunkSizeWarningLimit: 4000,
  },
});
