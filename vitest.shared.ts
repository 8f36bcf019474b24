import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, mergeConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from 'vitest/config';
import { chromiumFlags, findChromium } from './scripts/chromium.mjs';
import { conformanceTests } from './scripts/together.mjs';

/**
 * Whether every test runs (`npm run test:all`), or the selection of `npm test`. Tests ask for it by `inject('everything')`; a file whose tests
 * are all left to `npm run test:all` is named `*.all.test.ts` or `*.all.browser.test.ts`.
 */
const everything = process.env.SOFTGRAD_EVERYTHING === '1';
const leftToAll = everything ? [] : ['**/test/**/*.all.test.ts', '**/test/**/*.all.browser.test.ts'];

const comparingNumbers = fileURLToPath(new URL('vitest.typed-arrays.ts', import.meta.url));

/**
 * Most functions of the conformance suite run too seldom to be worth V8's optimizing compiler, which takes a quarter of the processor time. Later versions of
 * node have no such option.
 */
const optimizingLater = process.versions.node.startsWith('20.') ? ['--interrupt-budget=540672'] : [];

/** A readable log, and a count for the total of `npm test`. */
const reportersTo = (name: string): NonNullable<ViteUserConfig['test']>['reporters'] => [
  'default',
  ['json', { outputFile: `reports/${name}.json` }],
];
const reporters = reportersTo('vitest');

/** What every package's tests have in common. */
export const shared = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.browser.test.ts', ...leftToAll],
    provide: { everything },
    setupFiles: [comparingNumbers],
    reporters,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Files share what they import: loading it again for each takes longer than most of their tests. No test changes it.
    isolate: false,
    // Tests allocate much that they soon drop: with V8's default of 16 MB for new objects, collecting them takes a tenth of all processor time.
    execArgv: ['--min-semi-space-size=64', '--max-semi-space-size=64'],
    // Built packages are loaded by node itself. What Vitest transforms is slower: it reaches every import through an object.
    server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
  },
});

/**
 * The tests of a package whose sources compute much: where a test imports a source, node loads the built file, which is what Vitest's own transformation
 * would take twice the time for. The package is built first, which takes a tenth of a second if nothing changed. With SOFTGRAD_SOURCES=1 Vitest
 * transforms the sources: mutation testing changes them, and `vitest watch` looks for changes of them.
 *
 * @param folder of the package
 * @param afresh the tests that load modules anew or replace what they import, which node cannot: they run the sources
 */
export function sharedBuilt(folder: string, { afresh = [] as readonly string[] } = {}) {
  if (process.env.SOFTGRAD_SOURCES) return shared;
  return mergeConfig(shared, { test: { execArgv: optimizingLater }, plugins: [builtFilesOf(folder, afresh)] });
}

/**
 * The conformance suite of the packages whose engines Node runs without a device, and core's tests of the suite, in one process: the expected values of a case
 * and their bounds are computed once for all of them, which takes longer than most engines take for the case. Each package's own `vitest run` has its own, too.
 */
export function conformanceTogether(): ViteUserConfig {
  const suites = Object.entries(conformanceTests).map(([name, files]) => ({ folder: `packages/${name}`, files }));
  return mergeConfig(
    { ...shared, test: { ...shared.test, include: [], reporters: reportersTo('conformance') } },
    {
      test: { include: suites.map(({ folder, files }) => `${folder}/${files}`), execArgv: optimizingLater },
      plugins: suites.map(({ folder }) => builtFilesOf(join(import.meta.dirname, folder))),
    },
  );
}

/** Builds a package, and resolves imports of its sources by tests to the built files. */
function builtFilesOf(folder: string, afresh: readonly string[] = []) {
  const typescript = fileURLToPath(new URL('node_modules/typescript/bin/tsc', import.meta.url));
  execFileSync(process.execPath, [typescript, '-b'], { cwd: folder, stdio: 'inherit' });
  const { compilerOptions } = JSON.parse(readFileSync(join(folder, 'tsconfig.json'), 'utf8'));
  const [root, dist] = [compilerOptions.rootDir, compilerOptions.outDir].map((name) => join(folder, name));
  const builtOf = (source: string) => join(dist, relative(root, source));
  const isBuilt = (source: string) => existsSync(source.replace(/\.js$/, '.ts')) && existsSync(builtOf(source));
  const isTest = (file: string) =>
    file.startsWith(join(folder, 'test')) && !afresh.some((name) => file === join(folder, 'test', name));
  return {
    name: 'softgrad:built',
    enforce: 'pre',
    resolveId(id: string, importer = '') {
      const source = id.startsWith('.') && isTest(importer) ? join(dirname(importer), id) : '';
      return source.startsWith(root) && isBuilt(source) ? builtOf(source) : undefined;
    },
  };
}

/**
 * The tests of a package that runs in Node and, for the files named `*.browser.test.ts`, in Chromium. With SOFTGRAD_NODE_ONLY=1 those
 * in Node alone.
 *
 * @param inNode the configuration of the tests in Node
 */
export async function sharedWithChromium(inNode: ViteUserConfig = shared) {
  const named = mergeConfig(inNode, { test: { name: 'node' } });
  // Not a list of one project: mutation testing runs a package from another folder, where Vitest finds no tests of a project.
  if (process.env.SOFTGRAD_NODE_ONLY) return named;
  return defineConfig({ test: { reporters, projects: [named, await inChromium()] } });
}

/**
 * The tests in Chromium of all packages: `npm test` runs them in one browser and from one server, whose start takes as long as the tests of a small package.
 * Each package's own `vitest run` has them, too.
 */
export async function everyPackageInChromium(): Promise<ViteUserConfig> {
  const reports = defineConfig({ test: { reporters: reportersTo('browsers') } });
  return mergeConfig(await inChromium('packages/*/test/**/*.browser.test.ts'), reports);
}

/** In Node, Dawn computes on Chromium's own software device where the machine names no Vulkan driver. */
export async function useSoftwareVulkan(): Promise<void> {
  // Compiling a kernel allocates and frees much memory: glibc returns it to the system each time, unless told otherwise, which doubles the time.
  process.env.MALLOC_TRIM_THRESHOLD_ ??= `${2 ** 30}`;
  process.env.MALLOC_MMAP_THRESHOLD_ ??= `${2 ** 30}`;
  process.env.MALLOC_TOP_PAD_ ??= `${2 ** 26}`;
  const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', dirname((await findChromium()) ?? '')];
  const software = folders.find((folder) => existsSync(join(folder, 'vk_swiftshader_icd.json')));
  if (!software || process.env.VK_DRIVER_FILES) return;
  process.env.VK_DRIVER_FILES = join(software, 'vk_swiftshader_icd.json');
  process.env.LD_LIBRARY_PATH = [software, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
}

/**
 * Workgroup memory is left uninitialized instead of zeroed as WebGPU requires: the software device compiles kernels three times as fast, and a kernel that
 * reads a word before writing it is noticed. `npm run test:all` runs Chromium as it is.
 */
const cheaperKernels = everything ? [] : ['--enable-dawn-features=disable_workgroup_init'];

/**
 * A project whose tests run in headless Chromium, cross-origin isolated, with WebGL2 and WebGPU by a software rasteriser.
 */
async function inChromium(files = 'test/**/*.browser.test.ts'): Promise<TestProjectInlineConfiguration> {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('Chromium is missing: run `node scripts/chromium.mjs` to install it');
  const headers = {
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  };
  return {
    server: { headers },
    plugins: [
      {
        // Vitest's own tester page is served by its middleware, which does not read server.headers.
        name: 'softgrad:cross-origin-isolation',
        configureServer(server) {
          server.middlewares.use((_request, response, next) => {
            for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
            next();
          });
        },
      },
    ],
    test: {
      name: 'chromium',
      include: [files],
      exclude: leftToAll,
      provide: { everything },
      testTimeout: 180_000,
      hookTimeout: 180_000,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        api: { host: '127.0.0.1', port: await freePort() },
        provider: playwright({ launchOptions: { executablePath, args: [...chromiumFlags, ...cheaperKernels] } }),
        instances: [{ browser: 'chromium' }],
      },
    },
  };
}

/** A port that the system chose: Vitest's own default is the same for all packages, whose tests run side by side. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
