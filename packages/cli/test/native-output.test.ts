import { expect, test } from 'vitest';
import { isFiltered, mayOpenWebgpu, openErrorStream, withoutWarnings } from '../src/native-output.js';

test('warnings of the native library are left out with the lines that say where they come from, and everything else is passed on', () => {
  const passed: string[] = [];
  const filter = withoutWarnings((line) => passed.push(line));
  for (const line of [
    'first',
    "Warning: Couldn't load Vulkan: libvulkan.so.1",
    '    at operator() (BackendVk.cpp:368)',
    '    at Create (Instance.cpp:1)',
    '',
    '',
    'Warning: one line',
    'Info: two',
    'Error: the device is lost',
    '    at Tick (Device.cpp:9)',
    'Debug: three',
    '',
    'a Warning: inside a line',
    '  at the beginning of a line without a warning before it',
  ]) {
    filter(line);
  }
  expect(passed).toEqual([
    'first',
    '',
    'Error: the device is lost',
    '    at Tick (Device.cpp:9)',
    'a Warning: inside a line',
    '  at the beginning of a line without a warning before it',
  ]);
});

test('a first line that is indented is passed on', () => {
  const passed: string[] = [];
  withoutWarnings((line) => passed.push(line))('    at Tick (Device.cpp:9)');
  expect(passed).toEqual(['    at Tick (Device.cpp:9)']);
});

test.each([
  ['softmax x.npy --backend webgpu', true],
  ['softmax x.npy --backend=webgpu', true],
  ['softmax x.npy', false],
  ['softmax webgpu.npy --backend cpu', false],
  ['run softmax x.npy --out y --backend webgpu', true],
  ['report --id x --backend webgpu', true],
  ['report', false],
  ['conformance --backend all', true],
  ['conformance', false],
  ['accuracy', true],
  ['accuracy --backends cpu,wasm', false],
  ['accuracy --backends=cpu', false],
  ['accuracy --backends cpu,all', true],
  ['conformance --backend cpu,\tall', true],
  ['bench --quick', true],
  ['bench --backends cpu,webgpu', true],
  ['bench --backends wasm:threads=2', false],
  ['backends --inspect webgpu', false],
  ['doctor --did all', false],
  ['', false],
] as const)('whether `%s` may open webgpu: %s', (line, expected) => {
  expect(mayOpenWebgpu(line.split(' '))).toBe(expected);
});

test('a process whose standard error is not filtered writes to that, and those that it starts are not filtered either', () => {
  for (const [value, filtered] of [
    ['3', true],
    ['2', false],
    [undefined, false],
  ] as const) {
    expect(isFiltered({ SOFTGRAD_STDERR: value }), value).toBe(filtered);
    const env: NodeJS.ProcessEnv = { SOFTGRAD_STDERR: value };
    const stream = openErrorStream({ env, stderr: process.stderr });
    expect(stream === process.stderr, value).toBe(!filtered);
    expect(env).toEqual({});
  }
});
