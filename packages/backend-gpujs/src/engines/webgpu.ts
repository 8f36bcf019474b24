import { deviceLost, type Engine, failure, kernelFailed, outOfMemory, type Resident } from '../engine.js';
import { type GpuKernel, type GpuLibrary, messageOf } from '../gpu.js';
import { gpuHelpers, short, shortQuotient } from '../program.js';

const mode = 'webgpu';

/** `GPUBufferUsage.MAP_READ`, `.COPY_DST` and `GPUMapMode.READ`: the specification fixes their values. */
const mapRead = 1;
const copyDestination = 8;
const read = 1;

/** The context of gpu.js's kernels, which share one device. */
interface DeviceContext {
  readonly adapter: GPUAdapter;
  readonly device: GPUDevice;
  readonly isLost: boolean;
}

/**
 * gpu.js on WebGPU: storage buffers of float32.
 *
 * @throws ERR_BACKEND_UNAVAILABLE if WebGPU or an adapter is missing
 */
export async function openWebGpu(library: GpuLibrary): Promise<Engine> {
  if (typeof navigator === 'undefined' || !navigator.gpu) {
    const missing = 'WebGPU is missing: navigator.gpu exists in newer browsers, on secure origins';
    throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', `${missing}; the modes webasm and cpu do not need it`);
  }
  const gpu = new library.GPU({ mode });
  const context = await deviceOf(gpu.createKernel('function() { return 1; }', minimal));
  const { device } = context;
  const bytes = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const elements = Math.min(Math.floor(bytes / 4), 2 ** 30);
  const limitedBy = `the limit is ${elements}: a storage buffer has at most ${bytes} bytes`;
  const check = () => {
    if (context.isLost) throw deviceLost(mode);
  };
  const lost = device.lost.then((info) => {
    throw deviceLost(mode, info);
  });
  lost.catch(() => undefined);
  const checks = new WeakMap<BufferResult, Promise<void>>();

  /** Resolves as soon as the kernel is enqueued; a later read waits for the errors that the device reports. */
  async function run(kernel: GpuKernel, values: readonly unknown[], length: number): Promise<DeviceResident> {
    check();
    const { result, problems } = await started(kernel, values);
    const operands = values.map((value) => (typeof value === 'object' ? checks.get(value as BufferResult) : undefined));
    const checked = verdict(length, problems, operands);
    checked.catch(() => undefined);
    checks.set(result, checked);
    return {
      result,
      delete: () => result.delete(),
      toArray: () =>
        Promise.race([Promise.all([readBack(result.buffer, length), checked]).then(([elements]) => elements), lost]),
    };
  }

  async function started(kernel: GpuKernel, values: readonly unknown[]) {
    try {
      if (!kernel.built) await kernel.build(...values);
      device.pushErrorScope('out-of-memory');
      device.pushErrorScope('validation');
      const running = kernel(...values) as Promise<BufferResult>;
      const problems = [device.popErrorScope(), device.popErrorScope()] as const;
      const result = await running;
      release(kernel);
      return { result, problems };
    } catch (cause) {
      check();
      throw kernelFailed(mode, cause);
    }
  }

  /** Rejects with the first error that the device reports for the operands of a kernel or for the kernel. */
  async function verdict(
    length: number,
    [validation, memory]: readonly Promise<GPUError | null>[],
    operands: readonly (Promise<void> | undefined)[],
  ): Promise<void> {
    await Promise.all(operands);
    const [invalid, exhausted] = await Promise.all([validation, memory]);
    check();
    if (exhausted) throw outOfMemory(mode, length, limitedBy, exhausted);
    if (invalid) throw failure(mode, 'ERR_UNSUPPORTED', `the device rejected a kernel: ${invalid.message}`, invalid);
  }

  /** Used instead of gpu.js's own function, which fails when the kernel that created the buffer is destroyed. */
  async function readBack(buffer: GPUBuffer, length: number): Promise<Float32Array> {
    const staging = device.createBuffer({ size: length * 4, usage: mapRead | copyDestination });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, length * 4);
    device.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(read);
      return new Float32Array(staging.getMappedRange().slice(0));
    } catch (cause) {
      check();
      throw outOfMemory(mode, length, limitedBy, cause);
    } finally {
      staging.destroy();
    }
  }

  return {
    mode,
    gpu,
    device: `webgpu: ${nameOf(context.adapter)}`,
    limits: { elements, classes: 2 ** 24 },
    limitedBy,
    argumentType: 'WebGPUBuffer',
    arithmetic: 'float32',
    helpers: gpuHelpers,
    shortQuotient,
    exactDivision: short,
    softmaxPlan: 'fewest',
    settings: {},
    mostKernels: Number.POSITIVE_INFINITY,
    asynchronous: true,
    argument: (resident) => (resident as DeviceResident).result,
    run,
    isLost: () => context.isLost,
    check,
    async finish() {
      check();
      await Promise.race([device.queue.onSubmittedWorkDone(), lost]);
      check();
    },
    close: () => gpu.destroy(),
  };
}

/** Takes ownership of a kernel's result, which gpu.js would keep until the kernel runs again. */
function release({ kernel }: GpuKernel): void {
  const { outputBuffer } = kernel;
  if (!outputBuffer) return;
  outputBuffer._refs -= 1;
  kernel.outputBuffer = null;
}

/** A result with gpu.js's handle. */
interface DeviceResident extends Resident {
  readonly result: BufferResult;
}

interface BufferResult {
  readonly buffer: GPUBuffer;
  delete(): void;
}

const minimal = { argumentTypes: {}, functions: [], output: [1] };

/** Runs a kernel, because gpu.js requests its device only then. */
async function deviceOf(kernel: GpuKernel): Promise<DeviceContext> {
  try {
    await kernel();
    return kernel.context as DeviceContext;
  } catch (cause) {
    throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', `no WebGPU device is available: ${messageOf(cause)}`, cause);
  }
}

function nameOf({ info }: GPUAdapter): string {
  const words = [info.vendor, info.architecture, info.device, info.description];
  return words.filter((word) => word !== '').join(' ') || 'an adapter without a name';
}
