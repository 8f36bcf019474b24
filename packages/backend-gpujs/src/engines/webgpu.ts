import { deviceLost, type Engine, failure, kernelFailed, outOfMemory, type Resident } from '../engine.js';
import { type GpuKernel, type GpuLibrary, messageOf } from '../gpu.js';

const mode = 'webgpu';

/** `GPUBufferUsage.MAP_READ`, `.COPY_DST` and `GPUMapMode.READ`: the specification fixes their values. */
const mapRead = 1;
const copyDestination = 8;
const read = 1;

/** What gpu.js's kernels know of their device; it makes one for all of them. */
interface DeviceContext {
  readonly adapter: GPUAdapter;
  readonly device: GPUDevice;
  readonly isLost: boolean;
}

/**
 * gpu.js over WebGPU: storage buffers, one element a float32.
 *
 * @throws ERR_BACKEND_UNAVAILABLE where WebGPU or an adapter is missing
 */
export async function openWebGpu(library: GpuLibrary): Promise<Engine> {
  if (typeof navigator === 'undefined' || !navigator.gpu) {
    const missing = 'WebGPU is missing: navigator.gpu exists in newer browsers, on secure origins';
    throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', `${missing}; the modes webasm and cpu run without`);
  }
  const gpu = new library.GPU({ mode });
  const context = await deviceOf(gpu.createKernel('function() { return 1; }', minimal));
  const { device } = context;
  const bytes = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const elements = Math.min(Math.floor(bytes / 4), 2 ** 30);
  const limitedBy = `the limit is ${elements}, a storage buffer having at most ${bytes} bytes`;
  const check = () => {
    if (context.isLost) throw deviceLost(mode);
  };
  const lost = device.lost.then((info) => {
    throw deviceLost(mode, info);
  });
  lost.catch(() => undefined);
  const checks = new WeakMap<BufferResult, Promise<void>>();

  /** Resolves as soon as the kernel is enqueued; a later read waits for what the device has to say about it. */
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

  /** Rejects with what the device found wrong, first with the operands of a kernel and then with the kernel. */
  async function verdict(
    length: number,
    [validation, memory]: readonly Promise<GPUError | null>[],
    operands: readonly (Promise<void> | undefined)[],
  ): Promise<void> {
    await Promise.all(operands);
    const [invalid, exhausted] = await Promise.all([validation, memory]);
    check();
    if (exhausted) throw outOfMemory(mode, length, limitedBy, exhausted);
    if (invalid) throw failure(mode, 'ERR_UNSUPPORTED', `the device refused a kernel: ${invalid.message}`, invalid);
  }

  /** Not gpu.js's own, which reads by way of the kernel that made the buffer and fails when that one is destroyed. */
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
    settings: {},
    mostKernels: Number.POSITIVE_INFINITY,
    asynchronous: true,
    argument: (resident) => (resident as DeviceResident).result,
    run,
    check,
    async finish() {
      check();
      await Promise.race([device.queue.onSubmittedWorkDone(), lost]);
      check();
    },
    close: () => gpu.destroy(),
  };
}

/** Makes a kernel's result ours alone: gpu.js would keep it until the kernel runs again. */
function release({ kernel }: GpuKernel): void {
  const { outputBuffer } = kernel;
  if (!outputBuffer) return;
  outputBuffer._refs -= 1;
  kernel.outputBuffer = null;
}

/** A result with gpu.js's own handle of it. */
interface DeviceResident extends Resident {
  readonly result: BufferResult;
}

interface BufferResult {
  readonly buffer: GPUBuffer;
  delete(): void;
}

const minimal = { argumentTypes: {}, functions: [], output: [1] };

/** Builds a kernel, which is how gpu.js finds its device. */
async function deviceOf(kernel: GpuKernel): Promise<DeviceContext> {
  try {
    await kernel();
    return kernel.context as DeviceContext;
  } catch (cause) {
    throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', `no WebGPU device can be had: ${messageOf(cause)}`, cause);
  }
}

function nameOf({ info }: GPUAdapter): string {
  const words = [info.vendor, info.architecture, info.device, info.description];
  return words.filter((word) => word !== '').join(' ') || 'an adapter without a name';
}
