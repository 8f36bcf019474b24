// Tests that softgrad computes where an application is neither a bundle in a page nor a program of Node: a page without a bundler, workers, Next.js, workerd.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resultOfFolder, resultOfPage } from './chromium-page.mjs';
import { computed, threadsOf } from './computed.mjs';
import { freePort } from './free-port.mjs';
import { withProject } from './project.mjs';

const script = (file) => `<!doctype html><meta charset="utf-8"><script type="module" src="${file}"></script>\n`;
/** Two files of the same name in one folder cannot be read in a page and in a worker alike: each worker is one file. */
const esbuild = 'npx esbuild --bundle --minify --log-override:empty-import-meta=silent';

/** What to install besides softgrad, and where softgrad computes, with what each place leaves in `globalThis.result` or responds. */
export const places = {
  'a page without a bundler': {
    packages: [],
    async use({ project }) {
      const names = ['softgrad', ...namesIn(project, '@softgrad')];
      const imports = Object.fromEntries(names.flatMap((name) => entriesOf(project, name)));
      const map = JSON.stringify({ imports });
      const hash = createHash('sha256').update(map).digest('base64');
      copy(project, 'compute', 'bundled');
      project.write('index.html', `<script type="importmap">${map}</script>${script('./bundled.mjs')}`);
      const policy = `script-src 'self' 'sha256-${hash}' 'wasm-unsafe-eval'; worker-src 'self' blob:`;
      return { page: await resultOfFolder(project.folder, policy) };
    },
  },
  'a web worker, bundled by vite': {
    packages: ['vite'],
    async use({ project }) {
      copy(project, 'compute', 'web-worker', 'web-worker-page');
      project.write('index.html', script('./web-worker-page.mjs'));
      project.write('vite.config.mjs', "export default { worker: { format: 'es' } };\n");
      await project.shell('npx vite build --outDir page');
      return { page: await resultOfFolder(join(project.folder, 'page')) };
    },
  },
  'a service worker, bundled by esbuild': {
    packages: ['esbuild'],
    threads: '1 thread',
    async use({ project }) {
      copy(project, 'compute', 'service-worker', 'service-worker-page');
      await project.shell(`${esbuild} --format=iife service-worker.mjs --outfile=page/service-worker.js`);
      await project.shell(`${esbuild} --format=esm service-worker-page.mjs --outfile=page/page.js`);
      project.write('page/index.html', script('./page.js'));
      return { page: await resultOfFolder(join(project.folder, 'page')) };
    },
  },
  'Next.js': { packages: ['next', 'react', 'react-dom'], use: (tools) => inNext('next build', tools) },
  'Next.js, webpack': {
    packages: ['next', 'react', 'react-dom'],
    use: (tools) => inNext('next build --webpack', tools),
  },
  workerd: {
    packages: ['workerd', 'esbuild'],
    threads: '1 thread',
    async use({ project }) {
      copy(project, 'workerd');
      await project.shell(
        `${esbuild} --format=esm --loader:.wasm=copy --asset-names=[name] workerd.mjs --outfile=out/workerd.js`,
      );
      project.write(
        'workerd.capnp',
        `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .main)]);
const main :Workerd.Worker = (
  modules = [
    (name = "workerd.js", esModule = embed "out/workerd.js"),
    (name = "simd.wasm", wasm = embed "out/simd.wasm"),
  ],
  compatibilityDate = "2024-01-01",
);
`,
      );
      const output = await project.shell('npx workerd test workerd.capnp 2>&1');
      const [line] = /^.*\{"onCpu".*\}/m.exec(output) ?? [];
      if (line === undefined) throw new Error(`workerd printed ${output}`);
      return { server: JSON.parse(line.slice(line.indexOf('{'))) };
    },
  },
};

export async function checkPlace(name, { registry, check }) {
  const place = places[name];
  return withProject('place', registry, async (project) => {
    await project.npm('install', 'softgrad', '@softgrad/backend-wasm', ...place.packages);
    const [main] = place.packages;
    const version = main === undefined ? '' : versionOf(project, main);
    const results = {};
    let found;
    results.computes = await check(`${name}: computes`, async () => {
      found = await place.use({ project });
      for (const result of Object.values(found)) computed(result);
      return Object.keys(found).join(' and ');
    });
    if (results.computes.ok) {
      results.threads = await check(`${name}: threads`, async () => {
        const [shown] = Object.values(found).map((result) => threadsOf(result, place.threads));
        return shown;
      });
    }
    return { version, results };
  });
}

function copy(project, ...programs) {
  for (const name of programs) project.copy(`${name}.mjs`);
}

function namesIn(project, scope) {
  return readdirSync(join(project.folder, 'node_modules', scope)).map((name) => `${scope}/${name}`);
}

function manifestOf(project, name) {
  return JSON.parse(readFileSync(join(project.folder, 'node_modules', ...name.split('/'), 'package.json'), 'utf8'));
}

const versionOf = (project, name) => manifestOf(project, name).version;

/** The lines of an import map for a package, from its `exports`. */
function entriesOf(project, name) {
  return Object.entries(manifestOf(project, name).exports).flatMap(([entry, target]) => {
    const file = typeof target === 'string' ? target : target.default;
    return file.endsWith('.js') ? [[name + entry.slice(1), `/node_modules/${name}${file.slice(1)}`]] : [];
  });
}

/** A page that computes in the browser and a route that computes on the server, built and started as its documentation says. */
async function inNext(build, { project }) {
  copy(project, 'compute');
  project.write('app/layout.js', 'export default ({ children }) => <html><body>{children}</body></html>;\n');
  project.write(
    'app/page.js',
    `'use client';
import { useEffect } from 'react';
import { compute } from '../compute.mjs';
export default function Page() {
  useEffect(() => {
    globalThis.result = compute();
  }, []);
  return <p>softgrad</p>;
}
`,
  );
  project.write(
    'app/computed/route.js',
    `import { compute } from '../../compute.mjs';
export const dynamic = 'force-dynamic';
export const GET = async () => Response.json(await compute());
`,
  );
  project.write(
    'next.config.mjs',
    `const headers = [
  { key: 'Cross-Origin-Opener-Policy', value: 'same-origin' },
  { key: 'Cross-Origin-Embedder-Policy', value: 'require-corp' },
];
export default { headers: () => [{ source: '/:path*', headers }] };
`,
  );
  await project.shell(`npx ${build}`, { env: { NEXT_TELEMETRY_DISABLED: '1' } });
  const port = await freePort();
  const cli = join(project.folder, 'node_modules', 'next', 'dist', 'bin', 'next');
  const server = spawn(process.execPath, [cli, 'start', '-p', String(port)], { cwd: project.folder, stdio: 'ignore' });
  try {
    const address = `http://127.0.0.1:${port}`;
    const response = await untilItResponds(`${address}/computed`, server);
    return { server: await response.json(), page: await resultOfPage(address) };
  } finally {
    server.kill();
  }
}

async function untilItResponds(address, server) {
  for (;;) {
    try {
      return await fetch(address);
    } catch (error) {
      if (server.exitCode !== null) throw new Error(`the server ended: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
