import { SoftgradError } from '@softgrad/core';
import { messageOf } from './gpu.js';

/** Errors of a device, which WebGPU reports asynchronously: they are recorded when reported, and thrown by the next call that may wait. */
export interface Faults {
  /** Whether the device is known to be lost. */
  isLost(): boolean;
  /** @throws ERR_DEVICE_LOST once the device is known to be lost, ERR_DISPOSED once the backend is closed */
  check(): void;
  /** Runs `action` inside an error scope; the next `settle` throws the error that the scope reports. */
  scope<T>(
    filter: GPUErrorFilter,
    fault: (message: string) => SoftgradError | Promise<SoftgradError>,
    action: () => T,
  ): T;
  /** Resolves when all scopes have reported. @throws the first fault that has not been thrown yet; ERR_DEVICE_LOST */
  settle(): Promise<void>;
  /** The error behind a rejected promise of the device. */
  explain(cause: unknown): Promise<SoftgradError>;
  /** From now on `check` throws ERR_DISPOSED, even if the device is lost. */
  close(): void;
}

interface Report {
  fault: SoftgradError | null;
  arrived: Promise<void>;
}

/** @param owned whether uncaptured errors of the device are also caused by this package */
export function watchFaults(device: GPUDevice, owned: boolean): Faults {
  /** Scopes in the order they were opened; removed when they report no error or when their fault is thrown. */
  const reports = new Set<Report>();
  let lost: SoftgradError | null = null;
  let closed = false;

  const lose = (why: string) => {
    lost ??= new SoftgradError(
      'ERR_DEVICE_LOST',
      `webgpu: the device was lost (${why}). Host data is intact: await setBackend(…), openShared(…) or webgpu.open(…) again`,
    );
    return lost;
  };
  device.lost.then(({ reason, message }) => lose([reason, message].filter((word) => word).join(': ')));
  const onUncaptured = ({ error }: GPUUncapturedErrorEvent) => {
    reports.add({ fault: refused(error.message), arrived: Promise.resolve() });
  };
  if (owned) device.addEventListener('uncapturederror', onUncaptured);

  const check = () => {
    if (closed) throw new SoftgradError('ERR_DISPOSED', 'webgpu: the backend was closed');
    if (lost) throw lost;
  };
  const firstFault = async () => {
    await Promise.all([...reports].map(({ arrived }) => arrived));
    const faulty = [...reports].filter(({ fault }) => fault !== null);
    for (const report of faulty) reports.delete(report);
    return faulty[0]?.fault ?? null;
  };
  return {
    isLost: () => lost !== null,
    check,
    scope(filter, fault, action) {
      device.pushErrorScope(filter);
      const report: Report = { fault: null, arrived: Promise.resolve() };
      reports.add(report);
      try {
        return action();
      } finally {
        report.arrived = device
          .popErrorScope()
          .then(async (error) => {
            if (error) report.fault = await fault(error.message);
            else reports.delete(report);
          })
          // The scope's device was lost; `device.lost` reports it.
          .catch(() => void reports.delete(report));
      }
    },
    async settle() {
      const fault = await firstFault();
      check();
      if (fault) throw fault;
    },
    async explain(cause) {
      if (closed)
        return new SoftgradError('ERR_DISPOSED', 'webgpu: the backend was closed while the call was pending', {
          cause,
        });
      // Dawn rejects pending promises of a lost device before it resolves `device.lost`.
      return (await firstFault()) ?? lose(messageOf(cause));
    },
    close() {
      closed = true;
      device.removeEventListener('uncapturederror', onUncaptured);
    },
  };
}

export function outOfDeviceMemory(byteLength: number): SoftgradError {
  return new SoftgradError(
    'ERR_OUT_OF_MEMORY',
    `webgpu: the device is out of memory: cannot allocate ${byteLength} bytes; free results that are no longer needed, by scope(), using, dispose() or out`,
  );
}

/** An error of WebGPU's validation: a bug of this package, or a limit that the device does not announce. */
export function refused(message: string): SoftgradError {
  return new SoftgradError('ERR_UNSUPPORTED', `webgpu: the device rejected submitted work: ${message}`);
}
