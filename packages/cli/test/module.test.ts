import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { fakeBackends, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const fixture = fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url));

/** A module whose default export is the code, where `provider` is the provider of the fixture and `backend` an open one. */
function module(name: string, code: string): string {
  const right = JSON.stringify(pathToFileURL(fixture).href);
  const imports = `import provider from ${right};\nconst backend = await provider.open();\n`;
  return folder.write(`${name}.mjs`, `${imports}export default ${code};\n`);
}

const opening = (changes: string) => `{ ...provider, open: async () => ({ ...(await provider.open()), ${changes} }) }`;
/** No other backend can run. */
const backends = fakeBackends({});

describe('a command computes on the backend of --module', () => {
  const matrix = '[[1,2,3],[3,2,1]]';
  const input = folder.write('input.json', matrix);

  test('which is a provider, or open', async () => {
    const expected = await softgrad(['softmax', input, '--backend', 'cpu']);
    for (const file of [fixture, module('open', 'backend')]) {
      const { status, stdout, stderr } = await softgrad(['softmax', input, '--module', file], { backends });
      expect([status, stderr]).toEqual([0, '']);
      const [own, other] = [stdout, expected.stdout].map((text) => JSON.parse(text).flat());
      own.forEach((value: number, k: number) => {
        expect(value).toBeCloseTo(other[k], 14);
      });
    }
  });

  const methods = ['alloc', 'write', 'read', 'sync', 'close', 'softmax', 'jacobian', 'vjp'];

  test.each([
    ['close', 'close: undefined', 'close (a function)'],
    ['dtypes', 'supports: { limits: {} }', 'supports.dtypes (an array)'],
    [
      'everything',
      `supports: null, free: 1, ${methods.map((name) => `${name}: undefined`).join(', ')}`,
      'alloc (a function), write (a function), read (a function), free (a function), sync (a function), close (a function), softmax (a function), jacobian (a function), vjp (a function), supports.dtypes (an array), supports.limits (an object)',
    ],
    ['limits', 'supports: { dtypes: [] }', 'supports.limits (an object)'],
  ])('or is told what it lacks: %s', async (name, changes, lacking) => {
    const expected = (file: string) =>
      `--module ${file}: right lacks ${lacking}; softgrad conformance --module checks all of it\n`;
    const size = ['--shapes', '4x4', '--rounds', '1', '--peers', 'none', '--ops', 'softmax'];
    for (const file of [
      module(`lacks-${name}`, opening(changes)),
      module(`open-${name}`, `{ ...backend, ${changes} }`),
    ]) {
      const computed = await softgrad(['softmax', input, '--module', file], { backends });
      expect(computed).toEqual({ status: 2, stdout: '', stderr: `softgrad: ${expected(file)}` });
      for (const args of [
        ['bench', ...size],
        ['accuracy', '--classes', '2'],
      ]) {
        const { status, stderr } = await softgrad([...args, '--module', file], { backends });
        expect([status, stderr.split(': right: ')[1]]).toEqual([2, expected(file)]);
      }
    }
  });

  test('which has a name', async () => {
    for (const name of ['5', 'undefined', "Symbol('x')"]) {
      const file = module(`named-${name.replace(/\W/g, '')}`, `{ ...provider, name: ${name} }`);
      for (const command of ['softmax', 'report', 'conformance', 'accuracy']) {
        const args = command === 'softmax' ? [command, input] : [command];
        const { status, stderr } = await softgrad([...args, '--module', file], { backends });
        expect(stderr).toMatch(/: expected a provider \(\{ name, unavailable, open \}\) or a backend/);
        expect(status).toBe(2);
      }
    }
  });

  test('as it was written, and closes it', async () => {
    const log = folder.at('log.txt');
    const file = module(
      'marked',
      opening(`
        softmax: (out) => void out.fill(0.25),
        vjp: (out) => void out.fill(0.5),
        jacobian: (out) => void out.fill(0.125),
        close: () => fs.writeFileSync(${JSON.stringify(log)}, 'closed'),`),
    );
    folder.write('marked.mjs', `import fs from 'node:fs';\n${readFileSync(file, 'utf8')}`);
    const first = async (...args: readonly string[]) => {
      const { stdout, stderr } = await softgrad([...args, '--module', file], { backends });
      expect(stderr).toBe('');
      return JSON.parse(stdout).flat(3)[0];
    };
    expect(await first('softmax', input)).toBe(0.25);
    expect(readFileSync(log, 'utf8')).toBe('closed');
    expect(await first('jacobian', input)).toBe(0.125);
    expect(await first('vjp', input, '--upstream', input)).toBe(0.5);
    expect(await first('jvp', input, '--upstream', input)).toBe(0.5);
  });

  test.each([
    ['cross-entropy', '1,2', '--target', '0'],
    ['hvp', '1,2', '--upstream', '1,0', '--tangent', '1,0'],
    ['log-sum-exp', '1,2'],
    ['relu', '1,2'],
    ['demo'],
  ])('or says what that backend lacks: %s', async (...args) => {
    const { status, stderr } = await softgrad([...args, '--module', fixture], { backends });
    expect(stderr).toMatch(
      /^softgrad: \w+(?:\.\w+)?: right has neither kernels\.\w+ nor a basis \(elementary operations\) to compose it from; /,
    );
    expect(status).toBe(2);
  });
});

describe('what a module does wrong is no defect of softgrad', () => {
  const never = 'new Promise(() => {})';
  const commands = [
    ['softmax', '1,2'],
    ['accuracy', '--dtype', 'float64', '--classes', '2', '--results', '10'],
  ];

  test.each(commands)('where a kernel throws: %s', async (...args) => {
    const file = module('throws', opening("softmax() { throw new TypeError('kaboom'); }"));
    const { status, stderr } = await softgrad([...args, '--module', file]);
    expect(stderr).toMatch(
      /^softgrad: --module \S+throws\.mjs: kaboom at (?:Object\.)?softmax \(\S*throws\.mjs:3:\d+\)\n$/,
    );
    expect(status).toBe(2);
  });

  test.each(commands)('where a read never settles: %s', async (...args) => {
    const file = module('hangs', opening(`readSync: undefined, read: () => ${never}`));
    const onIdle = (listener: () => void) => {
      const timer = setTimeout(listener, 200);
      return () => clearTimeout(timer);
    };
    const { status, stderr } = await softgrad([...args, '--module', file], { onIdle });
    expect(stderr).toMatch(/^softgrad: --module \S+hangs\.mjs: waits for a promise that can never settle\n$/);
    expect(status).toBe(2);
  });

  test.each([
    ['open returns nothing', 'async () => null', 'open returned null; expected a backend'],
    ['open throws', "() => { throw new Error('no key'); }", 'no key'],
    ['open rejects', "() => Promise.reject(new Error('no key'))", 'no key'],
  ])('where %s', async (name, open, reason) => {
    const file = module(name.replaceAll(' ', '-'), `{ ...provider, open: ${open} }`);
    const { status, stderr } = await softgrad(['softmax', '1,2', '--module', file]);
    expect(stderr).toBe(`softgrad: --module ${file}: provides no backend: ${reason}\n`);
    expect(status).toBe(2);
  });

  test('and a name beside it is refused', async () => {
    for (const args of [['softmax', '1,2'], ['demo'], ['conformance'], ['report']]) {
      const { status, stderr } = await softgrad([...args, '--module', fixture, '--backend', 'cpu']);
      expect(stderr).toBe('softgrad: --backend and --module cannot both be given: expected one of them\n');
      expect(status).toBe(2);
    }
  });
});
