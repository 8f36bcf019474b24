import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { temporaryFolder } from './command.js';

// Tests that need a separate process; everything else is tested within the test's process. What another command or format does in the same way is left to
// `npm run test:all`: starting a process takes longer than most tests.
const everything = inject('everything');

const folder = temporaryFolder();
afterAll(folder.remove);

/** The built command. */
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

interface RunOptions {
  readonly input?: string;
  /** A module that runs in the process before the command. */
  readonly before?: string;
  /** Options of node itself. */
  readonly node?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Otherwise a process whose kernel never returns would outlive a test that fails. */
const ending = { timeout: 150_000, killSignal: 'SIGKILL' } as const;

/** Runs the built command in the folder, as a user does. */
function softgrad(args: readonly string[], { input = '', before, node = [], env }: RunOptions = {}) {
  const preload = before === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(before)}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...node, ...preload, main, ...args], {
    input,
    encoding: 'utf8',
    cwd: folder.path,
    env: { ...process.env, ...env },
    ...ending,
  });
  return { status, stdout, stderr };
}

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const options = { cwd: folder.path, env: { ...process.env, ...env }, ...ending };
  return spawn(process.execPath, [main, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
}

const temporaries = () => readdirSync(folder.path).filter((name) => name.includes('tmp'));

describe('the file that the package declares as its command', () => {
  const { bin, engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const command = fileURLToPath(new URL(`../${bin.softgrad}`, import.meta.url));
  /** Runs the file on a Node that gives its version as `version`. */
  const runOn = (version: string) => {
    const code = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
    const preload = `data:text/javascript,${encodeURIComponent(code)}`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', preload, command, '--version'], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  test('can be run by a shell', () => {
    expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('names the needed version on an older Node, and runs on the oldest supported one', () => {
    const oldest = engines.node.replace('>=', '');
    for (const old of ['20.18.3', '18.20.0']) {
      const stderr = `softgrad: needs Node ${oldest} or newer; this is ${old}\n`;
      expect(runOn(old)).toEqual({ status: 2, stdout: '', stderr });
    }
    expect(runOn(`${oldest}.0`)).toMatchObject({ status: 0, stderr: '' });
  });
});

test('a result of piped input and of files in the working directory goes to a pipe, and errors to another one', () => {
  folder.write('g.json', '[[1, 0]]');
  const args = ['vjp', '-', '--upstream', 'g.json', '--backend', 'cpu'];
  expect(softgrad(args, { input: '[[0, 0]]' })).toEqual({ status: 0, stdout: '[[0.25,-0.25]]\n', stderr: '' });
  const { status, stdout, stderr } = softgrad(args, { input: '[[0, 0], [1]]' });
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^softgrad: standard input: ragged: .*\n$/);
});

test('with a backend whose reads never end, and with nothing that keeps the process alive, the suite runs to its end', () => {
  const right = pathToFileURL(fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url))).href;
  const file = folder.write(
    'hanging.mjs',
    `import provider from ${JSON.stringify(right)};
     export default { ...provider, open: async () => ({ ...(await provider.open()), read: () => new Promise(() => {}) }) };`,
  );
  const { status, stdout } = softgrad(['conformance', '--module', file, '--only', 'storage']);
  expect(stdout).toMatch(/✗ right: storage\/.*\n {2}waits for a promise that can never settle\n/);
  expect(stdout).toMatch(/\nright: \d+ passed, [1-9]\d* failed, \d+ do not apply; only \d+ of /);
  expect(status).toBe(1);
});

describe('a kernel that never returns', () => {
  const fixture = pathToFileURL(fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url))).href;
  const file = folder.write(
    'endless.mjs',
    `import { writeSync } from 'node:fs';
     import provider from ${JSON.stringify(fixture)};
     function vjp() {
       writeSync(2, 'begun\\n');
       for (;;);
     }
     export default { ...provider, open: async () => Object.assign(await provider.open(), { vjp }) };`,
  );
  const command = ['conformance', '--module', file, '--only', 'vjp/values', '--json'];

  test('ends the suite after the time limit, with the case, the place in the module and no partial report', () => {
    const { status, stdout, stderr } = softgrad([...command, '--timeout', '1']);
    expect(stderr).toMatch(
      /^begun\nsoftgrad: right: vjp\/values:\S+ did not return within 1 s, .*--timeout SECONDS\)\n {2}at vjp \(.*endless\.mjs:5:8\)\n$/,
    );
    expect([status, stdout]).toEqual([1, '']);
  });

  const json = folder.write('endless.json', 'as it was');
  const size = ['--ops', 'vjp', '--shapes', '8x5', '--dtype', 'float64'];
  const bench = ['bench', '--module', file, '--backends', 'cpu', ...size, '--json', json];
  test.each([['conformance', command], ...(everything ? [['bench', bench] as const] : [])] as const)(
    'is ended by Ctrl-C, %s',
    async (_, args) => {
      const child = start(args);
      await once(child.stderr, 'data');
      child.kill('SIGINT');
      expect(await once(child, 'close')).toEqual([null, 'SIGINT']);
      expect(readFileSync(json, 'utf8')).toBe('as it was');
      expect(temporaries()).toEqual([]);
    },
  );
});

test('a module that ends the process, or throws where nothing can catch it, is an error, and leaves no file behind', () => {
  const backend = `{
    name: 'x', supports: { dtypes: ['float64'], limits: { elements: 9 }, subnormals: true, nonFinite: true }, closed: false,
    alloc: () => ({}), write() {}, read: async () => new Float64Array(2), free() {}, sync: async () => {}, close: async () => {}, softmax() {}, jacobian() {}, vjp() {},
  }`;
  const later = "throw new Error('too late')";
  for (const [name, code, message] of [
    ...[0, 1, 3].map(
      (status) =>
        [
          `ends${status}`,
          `process.exit(${status})`,
          /^softgrad: ended by process\.exit, which the code of a module called, before /,
        ] as const,
    ),
    [
      'never',
      'await new Promise(() => {})',
      /--module never\.mjs: did not load: waits for a promise that can never settle/,
    ],
    [
      'timer',
      `setTimeout(() => { ${later} }); await new Promise((done) => setTimeout(done, 5000));`,
      /^softgrad: an error that nothing caught: too late at .*timer\.mjs:1:/,
    ],
    [
      'forgotten',
      `export default ${backend}; setTimeout(async () => { ${later} }); await new Promise((done) => setTimeout(done, 5000));`,
      /^softgrad: an error that nothing caught: too late at .*forgotten\.mjs:\d+:/,
    ],
  ] as const) {
    folder.write(`${name}.mjs`, code);
    const { status, stdout, stderr } = softgrad(['conformance', '--only', 'relu/', '--module', `${name}.mjs`]);
    expect(stderr, name).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect([status, stdout], name).toEqual([2, '']);
  }
  folder.write('as-json.mjs', `export default ${backend.replace('softmax() {}', 'softmax() { process.exit(0); }')}`);
  const left = softgrad(['softmax', '1,2', '--module', 'as-json.mjs', '--out', 'never.npy']);
  expect([left.status, left.stdout]).toEqual([2, '']);
  expect(temporaries()).toEqual([]);
});

test('where the folder in which a command runs has been deleted, it says so', () => {
  const gone = folder.at('gone');
  mkdirSync(gone);
  const before = `import { rmdirSync } from 'node:fs'; process.chdir(${JSON.stringify(gone)}); rmdirSync(${JSON.stringify(gone)});`;
  const { status, stdout, stderr } = softgrad(['softmax', '1,2', '--module', 'mine.mjs'], { before });
  expect([status, stdout, stderr]).toEqual([
    2,
    '',
    'softgrad: the current folder was deleted; change to one that exists\n',
  ]);
});

test('a module that node cannot load is an error, which for TypeScript says what to do', async () => {
  folder.write('broken.mjs', "import 'no-such-package';");
  // An ending that no version of node can load.
  folder.write('mine.tsx', 'export default {};');
  for (const [name, message] of [
    ['broken.mjs', /broken\.mjs: did not load: Cannot find package 'no-such-package' imported from .*broken\.mjs\n$/],
    ['mine.tsx', /mine\.tsx: did not load: .*; compile it to JavaScript first \(esbuild .*\) and pass the result\n$/],
  ] as const) {
    const { status, stderr } = await folder.softgrad(['conformance', '--module', name]);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  }
});

test('backends explains a missing driver, without the output of native libraries', () => {
  const env = { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };
  const { status, stdout, stderr } = softgrad(['backends', 'webgpu'], { env });
  expect(stdout).toMatch(/│ webgpu +│ no /);
  expect([status, stderr]).toEqual([0, '']);
});

describe('the standard error of a command that opens webgpu', () => {
  const drivers = { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };
  const least = ['--shapes', '8x5', '--ops', 'relu', '--peers', 'none', '--rounds', '1', '--sample-ms', '1'];

  test.each([
    ['softmax', ['softmax', '0,0', '--backend', 'webgpu'], 2],
    ...(everything ? [['bench', ['bench', '--backends', 'cpu,webgpu', ...least], 0] as const] : []),
  ] as const)('has no warnings of the native library: %s', (_, args, exitCode) => {
    const { status, stdout, stderr } = softgrad(args, { env: drivers });
    expect(`${stdout}${stderr}`).toContain('WebGPU has no adapter');
    expect(stderr).toMatch(exitCode === 0 ? /^$/ : /^softgrad: .*\n$/);
    expect(status).toBe(exitCode);
  });

  test('has what else native libraries print, the own messages, and the output and input of the command', () => {
    const before = `import { writeSync } from 'node:fs';
      if (process.env.SOFTGRAD_STDERR) writeSync(2, 'Warning: no driver\\n    at f (f.cpp:1)\\n\\nError: device lost\\n');`;
    const run = (env: NodeJS.ProcessEnv) =>
      softgrad(['softmax', '-', '--backend', 'cpu', '--out', 'webgpu'], { before, env, input: '[0, 0]' });
    expect(run({})).toEqual({
      ...{ status: 2, stdout: '' },
      stderr: expect.stringMatching(
        /^(?=.*Error: device lost\n)(?=.*softgrad: --out webgpu: unknown ending)(?!.*Warning)/s,
      ),
    });
    if (everything)
      expect(run({ SOFTGRAD_DEBUG: '1' }).stderr).toContain('SoftgradError: --out webgpu: unknown ending');
    const fits = ['softmax', '-', '--backend', 'cpu', '--dtype', 'float64', '--mask', 'webgpu.json'];
    folder.write('webgpu.json', '[true, true]');
    expect(softgrad(fits, { input: '[0, 0]' })).toEqual({ status: 0, stdout: '[0.5,0.5]\n', stderr: '' });
  });

  // The signal is passed on to another process, and a kill that names none is SIGTERM.
  test.each([['SIGHUP', 129], ...(everything ? [['SIGTERM', 143] as const] : [])] as const)(
    'and its exit code are those of a command that a signal ends: %s',
    async (signal, exitCode) => {
      const rounds = ['--shapes', '8x5', '--sample-ms', '1', '--rounds', '400'];
      const args = ['bench', '--ops', 'relu,sigmoid', '--backends', 'webgpu,cpu', '--peers', 'none', ...rounds];
      const child = start(args, drivers);
      await once(child.stdout, 'data');
      child.kill(signal);
      expect(await once(child, 'close')).toEqual([exitCode, null]);
    },
  );
});

test('a reader that closes the pipe early ends the command without a message, but not as if it were done', async () => {
  folder.zeros('piped.npy', 100_000, 20);
  const child = start(['softmax', 'piped.npy', '--backend', 'cpu']);
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  expect(await once(child, 'exit')).toEqual([141, null]);
  expect(errors).toBe('');
});

test('a reader that closes standard error early does not change the exit code', async () => {
  const child = start(['softmax', 'absent.npy']);
  child.stderr.destroy();
  expect(await once(child, 'exit')).toEqual([2, null]);
});

test('a result larger than the limit of the process is an error that names the file, and leaves the old one and no partial one', () => {
  folder.zeros('large.npy', 1000, 100);
  const out = folder.write('limited.npy', 'as it was');
  const line = `ulimit -f 64; exec "${process.execPath}" "${main}" softmax large.npy --backend cpu --out limited.npy`;
  const { status, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8', cwd: folder.path });
  expect(stderr).toBe(
    'softgrad: limited.npy: cannot be written: larger than the file system, or the limit of this process (ulimit -f), allows\n',
  );
  expect(status).toBe(2);
  expect(readFileSync(out, 'utf8')).toBe('as it was');
  expect(temporaries()).toEqual([]);
});

test('a named pipe is refused before it is opened, which would wait for a writer', () => {
  const line = `mkfifo pipe.npy; exec "${process.execPath}" "${main}" softmax pipe.npy`;
  const { status, stderr } = spawnSync('sh', ['-c', line], {
    encoding: 'utf8',
    cwd: folder.path,
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  expect(stderr).toMatch(/^softgrad: pipe\.npy: not a regular file; expected \.npy/);
  expect(status).toBe(2);
});

test('a full standard output is an error', () => {
  const before =
    "process.stdout._write = (_chunk, _encoding, done) => done(Object.assign(new Error(), { code: 'ENOSPC' }));";
  const { status, stderr } = softgrad(['softmax', '-', '--backend', 'cpu'], { input: '[0]', before });
  expect(stderr).toContain(
    'softgrad: standard output cannot be written: no space left on the device; free some, or write to another one\n',
  );
  expect(status).toBe(2);
});

test('if a signal ends it, it removes unfinished files and keeps existing ones', async () => {
  folder.zeros('big.npy', 2_000_000, 100);
  const out = folder.write('kept.npy', 'as it was');
  const watcher = watch(folder.path);
  const child = start(['softmax', 'big.npy', '--out', out]);
  const ended = once(child, 'exit');
  while (temporaries().length === 0 && child.exitCode === null) await once(watcher, 'change');
  watcher.close();
  child.kill('SIGTERM');
  expect(await ended).toEqual([143, null]);
  expect(temporaries()).toEqual([]);
  expect(readFileSync(out, 'utf8')).toBe('as it was');
});

test('interrupted while its child processes measure, it ends immediately and keeps the existing file', async () => {
  const before = folder.write('before.json', 'as it was');
  const least = ['--ops', 'softmax', '--backends', 'cpu', '--peers', 'naive', '--sample-ms', '1', '--rounds', '3'];
  // The second shape takes long enough to be interrupted in the middle.
  const shapes = ['--shapes', '8x5,1024x1000', '--processes', '2', '--json', before];
  const child = start(['bench', ...least, ...shapes]);
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([null, 'SIGINT']);
  expect(readFileSync(before, 'utf8')).toBe('as it was');
  expect(temporaries()).toEqual([]);
});

describe('large files', () => {
  /** Runs a command and returns its peak memory in bytes. */
  function peakMemory(args: readonly string[]): number {
    const before = `import { writeSync } from 'node:fs'; process.on('exit', () => writeSync(2, 'peak ' + process.resourceUsage().maxRSS))`;
    const { status, stderr } = softgrad([...args, '--backend', 'cpu'], { before });
    expect(status, stderr).toBe(0);
    return Number(/^peak (\d+)$/.exec(stderr)?.[1]) * 1024;
  }

  test('two files at once are processed in less memory than their size, one of them in Fortran order', () => {
    const input = folder.zeros('c.npy', 60_000, 512);
    const upstream = folder.zeros('f.npy', 60_000, 512, 'Fortran');
    const out = folder.at('out.npy');
    expect(peakMemory(['vjp', input, '--upstream', upstream, '--out', out])).toBeLessThan(2 * statSync(input).size);
    expect(statSync(out).size).toBe(statSync(input).size);
  });

  function processesTable() {
    const rows = 110_000;
    const input = folder.at('tall.csv');
    writeFileSync(input, `${'1,'.repeat(19)}1\n`.repeat(rows));
    const out = folder.at('out.npy');
    const { status, stderr } = softgrad(['log-softmax', input, '--out', out, '--backend', 'cpu'], {
      // In MiB. Node itself takes 18, and what is being processed up to 8, with garbage that is not collected yet; the numbers would take 17.
      node: ['--max-semi-space-size=1', '--max-old-space-size=34'],
    });
    expect(status, stderr).toBe(0);
    expect(statSync(out).size).toBe(128 + rows * 20 * 8);
  }
  if (everything) test('a .csv is processed in a JavaScript heap that is too small for its numbers', processesTable);
});

test('the backend of a module is timed in several processes as well', async () => {
  const fixture = fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url));
  const size = ['--ops', 'vjp', '--shapes', '8x5', '--dtype', 'float64', '--rounds', '1', '--sample-ms', '1'];
  const args = ['bench', '--module', fixture, '--peers', 'none', '--processes', '2', ...size, '--json', '-'];
  const { stdout, stderr } = await folder.softgrad([...args, '--node-option=--no-warnings']);
  expect(stderr).toBe('');
  const { settings, contenders, workloads } = JSON.parse(stdout);
  expect(settings.processes).toBe(2);
  expect(contenders.map(({ name }: { readonly name: string }) => name)).toEqual(['right']);
  expect(workloads[0].results[0]).toMatchObject({
    missing: null,
    samples: { reused: [[], []].map(() => expect.anything()) },
  });
});

test('where Node may only read files, what needs another process goes on in its own', async () => {
  const model = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';
  const softgrad = (...args: readonly string[]) =>
    promisify(execFile)(process.execPath, ['--no-warnings', model, '--allow-fs-read=*', main, ...args]);
  // Its standard error is filtered in another process where there may be one.
  const filtered = await softgrad('conformance', '--backend', 'webgpu').catch((error: unknown) => error);
  expect(filtered).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^softgrad: webgpu cannot run here: .*\n$/),
  });
  if (!everything) return;
  // What it says is tested without another process, too: here it opens every backend.
  const report = await softgrad('report');
  expect(report.stderr).toBe(
    "softgrad: the backends were opened in this process: Node's permission model denies starting a process; the option --allow-child-process of node allows it\n",
  );
  expect(report.stdout).toMatch(/\n\| wasm \| WebAssembly .*\n\| webgpu \| cannot run: .*addon/);
});
