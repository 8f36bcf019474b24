import { SoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { outOfDeviceMemory, refused, watchFaults } from '../src/faults.js';

/** A promise that the test settles. */
function later<T>() {
  let settle: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

/** A device whose error scopes and loss are settled by the tests. */
function fakeDevice() {
  const scopes: { readonly filter: string; readonly settle: (error: { message: string } | null) => void }[] = [];
  const open: string[] = [];
  const listeners = new Set<(event: unknown) => void>();
  const { promise: lost, settle: lose } = later<{ reason: string; message: string }>();
  const device = {
    lost,
    addEventListener: (_: string, listener: (event: unknown) => void) => listeners.add(listener),
    removeEventListener: (_: string, listener: (event: unknown) => void) => listeners.delete(listener),
    pushErrorScope: (filter: string) => open.push(filter),
    popErrorScope: () => {
      const { promise, settle } = later<{ message: string } | null>();
      scopes.push({ filter: open.pop() ?? '', settle });
      return promise;
    },
  };
  return { device: device as unknown as GPUDevice, scopes, listeners, lose };
}

const fault = (message: string) => refused(message);

describe('the faults of a device', () => {
  test('are thrown once, the first of them, after all scopes have reported', async () => {
    const { device, scopes } = fakeDevice();
    const faults = watchFaults(device, false);
    expect(faults.scope('validation', fault, () => 7)).toBe(7);
    for (let k = 0; k < 2; k++) faults.scope('internal', fault, () => {});
    expect(scopes.map(({ filter }) => filter)).toEqual(['validation', 'internal', 'internal']);
    const settled = faults.settle();
    let isOver = false;
    settled
      .catch(() => {})
      .finally(() => {
        isOver = true;
      });
    scopes[2].settle({ message: 'third' });
    scopes[1].settle({ message: 'second' });
    await Promise.resolve();
    expect(isOver).toBe(false);
    scopes[0].settle(null);
    await expect(settled).rejects.toThrow('webgpu: the device rejected submitted work: second');
    await faults.settle();
  });

  test('of work that is enqueued while others are waited for are not lost', async () => {
    const { device, scopes } = fakeDevice();
    const faults = watchFaults(device, false);
    faults.scope('validation', fault, () => {});
    const first = faults.settle();
    faults.scope('validation', fault, () => {});
    scopes[0].settle(null);
    await first;
    scopes[1].settle({ message: 'later' });
    await expect(faults.settle()).rejects.toThrow('later');
  });

  test('are those of the action too, whose scope is closed', async () => {
    const { device, scopes } = fakeDevice();
    const faults = watchFaults(device, false);
    const own = new Error('of the action');
    expect(() =>
      faults.scope(
        'out-of-memory',
        () => outOfDeviceMemory(8),
        () => {
          throw own;
        },
      ),
    ).toThrow(own);
    scopes[0].settle({ message: 'none left' });
    await expect(faults.settle()).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message:
        'webgpu: the device is out of memory: cannot allocate 8 bytes; free results that are no longer needed, by scope(), using, dispose() or out',
    });
  });

  test('without a scope count only on an own device, until it is closed', async () => {
    for (const owned of [true, false]) {
      const { device, listeners } = fakeDevice();
      const faults = watchFaults(device, owned);
      expect(listeners.size).toBe(owned ? 1 : 0);
      for (const listener of listeners) listener({ error: { message: 'stray' } });
      if (owned) await expect(faults.settle()).rejects.toThrow('stray');
      await faults.settle();
      faults.close();
      expect(listeners.size).toBe(0);
    }
  });

  test.each([
    [{ reason: 'unknown', message: 'reset' }, 'unknown: reset'],
    [{ reason: '', message: 'reset' }, 'reset'],
    [{ reason: 'destroyed', message: '' }, 'destroyed'],
  ])('of a lost device are its loss: %o', async (how, reason) => {
    const { device, scopes, lose } = fakeDevice();
    const faults = watchFaults(device, false);
    faults.check();
    expect(faults.isLost()).toBe(false);
    faults.scope('validation', fault, () => {});
    lose(how);
    await device.lost;
    expect(faults.isLost()).toBe(true);
    const expected = {
      code: 'ERR_DEVICE_LOST',
      message: `webgpu: the device was lost (${reason}). Host data is intact: await setBackend(…), openShared(…) or webgpu.open(…) again`,
    };
    expect(() => faults.check()).toThrow(expect.objectContaining(expected));
    scopes[0].settle(null);
    await expect(faults.settle()).rejects.toMatchObject(expected);
    expect(await faults.explain(new Error('later'))).toMatchObject(expected);
    faults.close();
    expect(() => faults.check()).toThrow(
      expect.objectContaining({ code: 'ERR_DISPOSED', message: 'webgpu: the backend was closed' }),
    );
  });

  test('explain why a promise was rejected: by a fault, by the loss, or by closing', async () => {
    const { device, scopes } = fakeDevice();
    const faults = watchFaults(device, false);
    faults.scope(
      'validation',
      async (message) => new SoftgradError('ERR_UNSUPPORTED', message),
      () => {},
    );
    scopes[0].settle({ message: 'why' });
    expect(await faults.explain(new Error('mapAsync'))).toMatchObject({ code: 'ERR_UNSUPPORTED', message: 'why' });
    // Dawn rejects promises of a lost device before it tells of the loss.
    expect(await faults.explain(new Error('mapAsync'))).toMatchObject({
      code: 'ERR_DEVICE_LOST',
      message: expect.stringContaining('(mapAsync)'),
    });
    faults.close();
    const cause = new Error('unmapped');
    expect(await faults.explain(cause)).toMatchObject({
      code: 'ERR_DISPOSED',
      message: 'webgpu: the backend was closed while the call was pending',
      cause,
    });
  });
});
