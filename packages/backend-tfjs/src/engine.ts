import { isSoftgradError, SoftgradError } from '@softgrad/core';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import type { Device } from './device.js';
import type { Core, EngineName } from './peers.js';
import { replace, type Store, type TfBuffer, write } from './storage.js';
import { type Program, sizeOf, type Target } from './verbs/verbs.js';

/** An open engine of tfjs, for kernels and storage. */
export interface Engine extends Store {
  readonly name: EngineName;
  readonly core: Core;
  readonly device: Device;
  /** Runs a program and stores its results in the targets. @throws ERR_DEVICE_LOST, ERR_OUT_OF_MEMORY */
  run(targets: readonly Target[], program: Program): void;
  /** Sets all elements to one value. */
  fill(out: TfBuffer, value: number): void;
  /** Whether `assertAlive` throws. */
  isLost(): boolean;
  /** @throws ERR_DEVICE_LOST if the device is lost, or tfjs's instance of the engine was removed */
  assertAlive(): void;
  /** Awaits a promise of tfjs, which may never settle if the device is lost. @throws ERR_DEVICE_LOST */
  awaiting<T>(work: Promise<T>): Promise<T>;
}

export function engineOf(core: Core, name: EngineName, instance: KernelBackend, device: Device): Engine {
  let reason: string | null = null;
  const loss = device.lost.then((message): never => {
    reason = message;
    throw deviceLost(name, message);
  });
  loss.catch(() => {});

  const whyLost = (): string | null => {
    if (reason !== null || device.isLost()) return reason ?? 'the device was lost';
    return core.engine().registry[name] === instance ? null : 'tf.removeBackend removed the engine';
  };
  const assertAlive = (): void => {
    const why = whyLost();
    if (why !== null) throw deviceLost(name, why);
  };

  const engine: Engine = {
    name,
    core,
    instance,
    copies: device.copies,
    device,
    isLost: () => whyLost() !== null,
    assertAlive,
    run(targets, program) {
      assertAlive();
      let results: ReturnType<Device['execute']>;
      try {
        results = device.execute(targets, program);
      } catch (error) {
        if (isSoftgradError(error)) throw error;
        assertAlive();
        throw translated(error, device, targets);
      }
      targets.forEach(({ buffer }, k) => {
        const result = results[k];
        if (result === undefined) throw new Error(`tfjs (${name}): ${results.length} results of ${targets.length}`);
        replace(instance, buffer, result);
      });
    },
    fill(out, value) {
      assertAlive();
      write(engine, out, new Float32Array(out.length).fill(value));
    },
    async awaiting(work) {
      try {
        const result = await Promise.race([work, loss]);
        assertAlive();
        return result;
      } catch (error) {
        // Work on a lost device may fail before the loss is reported.
        if (!isSoftgradError(error)) await Promise.race([loss, device.finished().catch(() => {})]);
        assertAlive();
        throw error;
      }
    },
  };
  return engine;
}

function deviceLost(name: EngineName, message: string): SoftgradError {
  return new SoftgradError(
    'ERR_DEVICE_LOST',
    `tfjs (${name}): ${message}; host data is intact: await setBackend(…), openShared(…) or tfjs.open(…) again`,
  );
}

/** Recognizes out-of-memory errors by their message, because tfjs's errors have no codes. */
function translated(error: unknown, device: Device, targets: readonly Target[]): unknown {
  const message = error instanceof Error ? error.message : String(error);
  if (!/unable to create|texture size|out of memory|allocat/i.test(message)) return error;
  const elements = targets.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return new SoftgradError(
    'ERR_OUT_OF_MEMORY',
    `tfjs: cannot allocate ${elements} elements on ${device.description}, which supports at most ${device.elements} in one buffer: ${message}`,
    { cause: error },
  );
}
