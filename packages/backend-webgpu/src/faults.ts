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

export function watchFaults(device: GPUDevice): Faults {
  const reports = new Set<Promise<void>>();
  const found: SoftgradError[] = [];
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
  const onUncaptured = ({ error }: GPUUncapturedErrorEvent) => found.push(refused(error.message));
  device.addEventListener('uncapturederror', onUncaptured);

  const check = () => {
    if (closed) throw new SoftgradError('ERR_DISPOSED', 'webgpu: the backend was closed');
    if (lost) throw lost;
  };
  return {
    check,
    scope(filter, fault, action) {
      device.pushErrorScope(filter);
      try {
        return action();
      } finally {
        const report = device.popErrorScope().then(
          async (error) => {
            if (error && !closed) found.push(await fault(error.message));
          },
          () => {}, // A scope of a lost device: `lost` says so.
        );
        reports.add(report);
        report.finally(() => reports.delete(report));
      }
    },
    async settle() {
      await Promise.all(reports);
      check();
      const first = found[0];
      found.length = 0;
      if (first) throw first;
    },
    async explain(cause) {
      if (closed)
        return new SoftgradError('ERR_DISPOSED', 'webgpu: the backend was closed while it was read', { cause });
      await Promise.all(reports);
      const [first] = found.splice(0);
      // Dawn rejects what waits on a lost device before it resolves `device.lost`.
      return first ?? lose(messageOf(cause));
    },
    close() {
      closed = true;
      device.removeEventListener('uncapturederror', onUncaptured);
    },
  };
}

/** What WebGPU's validation refused: a mistake of this package, or a limit that the device has and does not tell. */
export function refused(message: string): SoftgradError {
  return new SoftgradError('ERR_UNSUPPORTED', `webgpu: the device refused work: ${message}`);
}
