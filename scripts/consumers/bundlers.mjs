// Tests that an application bundled by each bundler computes in Chromium and in Node, on cpu, on wasm and on two threads of wasm.
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { resultOfFolder } from './chromium-page.mjs';
import { computed, threadsOf } from './computed.mjs';
import { withProject } from './project.mjs';

/** Optional packages, which softgrad imports if they are installed. */
const optional = ['@softgrad/backend-webgpu', '@softgrad/backend-gpujs', '@softgrad/backend-tfjs'];

const script = (file) => `<!doctype html><meta charset="utf-8"><script type="module" src="${file}"></script>\n`;

/**
 * The packages to install, and the commands that bundle `bundled.mjs` into `page` for a page and into `node` for Node. `entry` is the file that
 * Node runs; if the bundler writes no index.html, one that loads `loads` is added. `engine` is the only engine of TensorFlow.js that an application installs: cpu unless
 * given, and null if the bundler makes no such application.
 */
export const bundlers = {
  vite: {
    packages: ['vite'],
    files: {
      'index.html': script('./bundled.mjs'),
      'vite.config.mjs': 'export default { build: { emptyOutDir: true }, ssr: { noExternal: true } };\n',
    },
    page: 'npx vite build --outDir page',
    node: 'npx vite build --ssr bundled.mjs --outDir node',
    entry: 'bundled.js',
    version: 'vite',
  },
  esbuild: {
    packages: ['esbuild'],
    page: 'npx esbuild bundled.mjs --bundle --minify --format=esm --splitting --outdir=page',
    node: 'npx esbuild bundled.mjs --bundle --platform=node --format=esm --outfile=node/bundled.mjs',
    loads: 'bundled.js',
    entry: 'bundled.mjs',
  },
  'esbuild, one file': {
    packages: ['esbuild'],
    page: 'npx esbuild bundled.mjs --bundle --minify --format=iife --outdir=page --log-override:empty-import-meta=silent',
    node: 'npx esbuild bundled.mjs --bundle --platform=node --format=cjs --outfile=node/bundled.cjs --log-override:empty-import-meta=silent',
    loads: 'bundled.js',
    entry: 'bundled.cjs',
    version: 'esbuild',
    threadsFromBlobs: true,
  },
  rollup: {
    packages: ['rollup', '@rollup/plugin-node-resolve'],
    // TensorFlow.js imports CommonJS modules, which need another plugin.
    engine: null,
    page: 'npx rollup bundled.mjs -p node-resolve -d page -f es',
    node: 'npx rollup bundled.mjs -p node-resolve -d node -f es',
    loads: 'bundled.js',
    entry: 'bundled.js',
  },
  rolldown: {
    packages: ['rolldown'],
    page: 'npx rolldown bundled.mjs -d page --platform browser',
    node: 'npx rolldown bundled.mjs -d node --platform node',
    loads: 'bundled.js',
    entry: 'bundled.js',
  },
  webpack: {
    packages: ['webpack', 'webpack-cli'],
    // It fails if a file of `new URL(…, import.meta.url)` is missing, as those of engine wasm are unless it is installed.
    engine: 'wasm',
    page: 'npx webpack --mode production --entry ./bundled.mjs -o page',
    node: 'npx webpack --mode production --target node --entry ./bundled.mjs -o node --output-filename main.cjs',
    loads: 'main.js',
    entry: 'main.cjs',
  },
  rspack: {
    packages: ['@rspack/core', '@rspack/cli'],
    // It fails if a file of `new URL(…, import.meta.url)` is missing, as those of engine wasm are unless it is installed.
    engine: 'wasm',
    files: {
      'node.config.mjs':
        "export default { mode: 'production', target: 'node', entry: './bundled.mjs', output: { filename: 'main.cjs' } };\n",
    },
    page: 'npx rspack build --mode production --entry ./bundled.mjs -o page',
    node: 'npx rspack build --config node.config.mjs -o node',
    loads: 'main.js',
    entry: 'main.cjs',
    version: '@rspack/core',
  },
  parcel: {
    packages: ['parcel'],
    files: { 'index.html': script('./bundled.mjs') },
    // It fails if a package that is imported in a `try` is not installed.
    // It writes an import map into the page.
    policy: "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self' blob:",
    engine: null,
    manifest: { alias: Object.fromEntries(optional.map((name) => [name, false])) },
    page: 'npx parcel build index.html --dist-dir page --no-source-maps --no-cache',
  },
  'bun build': {
    packages: ['bun'],
    page: 'npx bun build bundled.mjs --outdir page --target browser --splitting --minify',
    node: 'npx bun build bundled.mjs --outdir node --target node',
    loads: 'bundled.js',
    entry: 'bundled.js',
    version: 'bun',
  },
};

export async function checkBundler(name, { registry, check }) {
  const bundler = bundlers[name];
  return withProject('bundler', registry, async (project) => {
    const [main] = bundler.packages;
    project.write('package.json', { ...project.manifest, ...bundler.manifest });
    await project.npm('install', 'softgrad', '@softgrad/backend-wasm', ...bundler.packages);
    const manifest = join(project.folder, 'node_modules', ...(bundler.version ?? main).split('/'), 'package.json');
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
    project.copy('compute.mjs');
    project.copy('bundled.mjs');
    for (const [file, content] of Object.entries(bundler.files ?? {})) project.write(file, content);

    const results = {};
    let found;
    results.page = await check(`${name}: page`, async () => {
      complain(await project.shell(`${bundler.page} 2>&1`));
      if (bundler.loads) project.write('page/index.html', script(bundler.loads));
      found = await resultOfFolder(join(project.folder, 'page'), bundler.policy);
      return computed(found);
    });
    if (found) results.threads = await check(`${name}: threads`, async () => threadsOf(found));
    if (bundler.threadsFromBlobs) {
      results.withoutBlobs = await check(`${name}: no blobs allowed`, async () => {
        const policy = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
        return threadsOf(await resultOfFolder(join(project.folder, 'page'), policy), "pass worker: '/worker.js'");
      });
    }
    if (bundler.engine !== null) {
      results.engine = await check(`${name}: one engine of TensorFlow.js`, () => withOneEngine(project, bundler));
    }
    if (bundler.node) {
      results.node = await check(`${name}: node`, async () => {
        complain(await project.shell(`${bundler.node} 2>&1`));
        return inNode(project, bundler.entry);
      });
    }
    return { version, results };
  });
}

/** @throws if a bundler prints a warning that our packages can avoid; warnings about missing optional packages are allowed */
function complain(output) {
  if (/critical dependency|circular/i.test(output)) throw new Error(`the bundler warns:\n${output}`);
}

/** Bundles an application that has only some of the optional packages installed. */
async function withOneEngine(project, bundler) {
  const tensorflow = ['core', `backend-${bundler.engine ?? 'cpu'}`].map((part) => `@tensorflow/tfjs-${part}@4`);
  await project.npm('install', '@softgrad/backend-tfjs', '@softgrad/bench', ...tensorflow);
  project.copy('one-engine.mjs', 'bundled.mjs');
  try {
    complain(await project.shell(`${bundler.page} 2>&1`));
    if (bundler.loads) project.write('page/index.html', script(bundler.loads));
    const { error, onEngine, missing } = await resultOfFolder(join(project.folder, 'page'), bundler.policy);
    if (error) throw new Error(error);
    if (onEngine !== '0.5,0.5') throw new Error(`the engine gives ${onEngine}`);
    if (!/npm install/.test(missing.engine) || !/^does not load/.test(missing.competitor)) {
      throw new Error(`the reasons for what is missing are ${JSON.stringify(missing)}`);
    }
    return 'computes';
  } finally {
    project.copy('bundled.mjs');
  }
}

/** Runs the bundle where there are no packages. */
async function inNode(project, entry) {
  cpSync(join(project.folder, 'node'), join(project.folder, 'alone'), { recursive: true });
  rmSync(join(project.folder, 'node_modules'), { recursive: true, force: true });
  const output = await project.run(process.execPath, [join('alone', entry)]);
  const result = JSON.parse(output.trim().split('\n').at(-1));
  computed(result);
  return threadsOf(result);
}
