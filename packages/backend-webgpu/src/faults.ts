import { SoftgradError } from '@softgrad/core';
import { messageOf } from './gpu.js';

/** What went wrong on a device, which WebGPU tells only later: noticed when it is reported, thrown by the next call that may wait. */
export interface Faults {
  /** @throws ERR_DEVICE_LOST once the device is known to be lost, ERR_DISPOSED once the backend was closed */
  check(): void;
  /** Runs `action` inside an error scope; what the scope reports is thrown by the next `settle`. */
  scope<T>(
    filter: GPUErrorFilter,
    fault: (message: string) => SoftgradError | Promise<SoftgradError>,
    action: () => T,
  ): T;
  /** Resolves when all scopes have reported. @throws the first fault that none has thrown yet; ERR_DEVICE_LOST */
  settle(): Promise<void>;
  /** The error that a rejected promise of the device stands for. */
  explain(cause: unknown): Promise<SoftgradError>;
  /** From now on everything is ERR_DISPOSED; a loss is no longer one. */
  close(): void;
}

interface Report {
  fault: SoftgradError | null;
  arrived: Promise<void>;
}

/** @param owned whether errors outside all scopes are this package's too */
export function watchFaults(device: GPUDevice, owned: boolean): Faults {
  /** Scopes in the order they were opened, until they have reported nothing or their fault was thrown. */
  const reports = new Set<Report>();
  let lost: SoftgradError | null = null;
  let closed = false;

  const lose = (why: string) => {
    lost ??= new SoftgradError(
      'ERR_DEVICE_LOST',
      `webgpu: the device was lost (${why}). Host data is intact: open the backend anew`,
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
          // A scope of a lost device: `device.lost` says so.
          .catch(() => void reports.delete(report));
      }
    },
    async settle() {
      const fault = await firstFault();
      check();
      if (fault) throw fault;
    },
    async explain(cause) {
      if (closed) return new SoftgradError('ERR_DISPOSED', 'webgpu: the backend was closed meanwhile', { cause });
      // Dawn rejects what waits on a lost device before it resolves `device.lost`.
      return (await firstFault()) ?? lose(messageOf(cause));
    },
    close() {
      closed = true;
      device.removeEventListener('uncapturederror', onUncaptured);
    },
  };
}

/** The device's own memory is used up. */
export function noRoom(byteLength: number): SoftgradError {
  return new SoftgradError('ERR_OUT_OF_MEMORY', `webgpu: the device has no room for ${byteLength} bytes more`);
}

/** What WebGPU's validation refused: a mistake of this package, or a limit that the device has and does not tell. */
export function refused(message: string): SoftgradError {
  return new SoftgradError('ERR_UNSUPPORTED', `webgpu: the device refused work: ${message}`);
}
