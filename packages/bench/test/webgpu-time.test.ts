import { webgpu } from '@softgrad/backend-webgpu';
import { expect, test } from 'vitest';
import { backendContender } from '../src/backend-contender.js';
import type { ContenderSource } from '../src/contender.js';
import { naive } from '../src/peers/naive.js';
import { runBench } from '../src/run.js';
import { resultTable } from '../src/table.js';

const workload = { op: 'softmax', shape: [64, 10], dtype: 'float32' } as const;

/** webgpu on a device with all features of its adapter, or with none. */
function onDevice(name: string, features: 'all' | 'none'): ContenderSource {
  return {
    name,
    kind: 'backend',
    async open() {
      const owner = await webgpu.open();
      if (features === 'all') return backendContender(name, owner);
      const unclocked = await webgpu.open({ device: withoutClock(owner.device) });
      const contender = backendContender(name, unclocked);
      return {
        ...contender,
        async close() {
          await contender.close();
          owner.close();
        },
      };
    },
  };
}

/** The device as if it had been requested without features. */
function withoutClock(device: GPUDevice): GPUDevice {
  return new Proxy(device, {
    get(target, key) {
      if (key === 'features') return new Set();
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

test("webgpu's device time is reported in addition to the host's; without a clock a note gives the reason", async () => {
  const contenders = [onDevice('clocked', 'all'), onDevice('clockless', 'none'), naive];
  const report = await runBench({ workloads: [workload], contenders, rounds: 3, sampleMs: 1 });
  const [result] = report.workloads;
  const [clocked, clockless] = result.results;
  expect([clocked.missing, clockless.missing]).toEqual([null, null]);
  expect(clocked.samples.device?.[0]).toHaveLength(3);
  expect(clocked.timings.device?.medianMs).toBeGreaterThan(0);
  expect(clocked.noDeviceTime).toBeUndefined();
  expect(clockless.timings.device).toBeUndefined();
  expect(clockless.noDeviceTime).toBe('its device has no clock');
  const { head, rows, notes } = resultTable(result);
  const column = head.indexOf('on the device');
  expect(rows.map((cells) => cells[column] !== '')).toEqual([true, false, false]);
  expect(notes).toContain('clockless: no time on the device: its device has no clock');
});
