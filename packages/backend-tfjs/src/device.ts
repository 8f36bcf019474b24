import { SoftgradError } from '@softgrad/core';
import type { KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import { unavailable } from './connection.js';
import type { Core, EngineName, WasmModule } from './peers.js';
import { type EagerTraits, type RunKernel, runEagerly } from './verbs/eager.js';
import { runLazily } from './verbs/lazy.js';
import { type Program, type Shape, sizeOf, type Target } from './verbs/verbs.js';
import { type WebGlInstance, webglPrograms, withShapeUniforms } from './verbs/webgl.js';
import { type WebGpuInstance, webgpuPrograms } from './verbs/webgpu.js';

/** The parts that differ between engines. */
export interface Device {
  readonly description: string;
  readonly elements: number;
  readonly readSync: boolean;
  /** Whether tfjs's instance copies the arrays that are written and read. */
  readonly copies: boolean;
  execute(targets: readonly Target[], program: Program): readonly TensorInfo[];
  /** On engines where a failed allocation would give wrong results, checks that this many more elements fit. @throws ERR_OUT_OF_MEMORY */
  reserve(elements: number): void;
  /** Runs work in which tfjs copies data to or from the device. */
  transfer<T>(work: () => T): T;
  /** Resolves when all work enqueued so far is done. */
  finished(): Promise<void>;
  isLost(): boolean;
  /** Resolves with the reason once the device is lost; never otherwise. */
  readonly lost: Promise<string>;
}

const never = new Promise<never>(() => {});

/** For engines that copy data without a program. */
const plainly: Device['transfer'] = (work) => work();

/** Whether tfjs's instance of an engine is already known to have lost its device. */
export function instanceIsLost(name: EngineName, instance: KernelBackend): boolean {
  if (name === 'webgl') return (instance as WebGlInstance).getGPGPUContext().gl.isContextLost();
  if (name === 'webgpu') return lostDevices.has((instance as WebGpuInstance).device);
  return false;
}

const lostDevices = new WeakSet<object>();
const watchedDevices = new WeakMap<object, Promise<string>>();

/** @throws ERR_BACKEND_UNAVAILABLE if the device lacks a feature that correct results need */
export function deviceOf(core: Core, name: EngineName, instance: KernelBackend, module: unknown): Device {
  switch (name) {
    case 'webgl':
      return webgl(core, instance as WebGlInstance);
    case 'webgpu':
      return webgpu(instance as WebGpuInstance);
    case 'wasm':
      return wasm(core, instance as WasmInstance, module as WasmModule);
    case 'cpu':
      return cpu(core, instance);
  }
}

function webgl(core: Core, instance: WebGlInstance): Device {
  const version = core.env().getNumber('WEBGL_VERSION');
  if (version !== 2) throw unavailable('webgl', undefined, `engine webgl needs WebGL 2; this is WebGL ${version}`);
  if (!core.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
    throw unavailable(
      'webgl',
      undefined,
      'engine webgl needs float32 textures to render to (EXT_color_buffer_float); half floats would give wrong results: use engine wasm or cpu',
    );
  }
  const context = instance.getGPGPUContext();
  const { gl } = context;
  const transfer: Device['transfer'] = (work) => withShapeUniforms(core, work);
  const programs = webglPrograms(instance, transfer);
  const side = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
  const renderer = gl.getExtension('WEBGL_debug_renderer_info');
  return {
    description: `${gl.getParameter(renderer?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER)} (tfjs webgl)`,
    elements: side * side,
    readSync: true,
    copies: false,
    execute: (targets, program) => runLazily(instance, programs, targets, program),
    reserve: () => {},
    transfer,
    finished: () => context.createAndWaitForFence(),
    isLost: () => gl.isContextLost(),
    lost: new Promise((resolve) => {
      gl.canvas.addEventListener('webglcontextlost', () => resolve('the WebGL context was lost'), { once: true });
    }),
  };
}

function webgpu(instance: WebGpuInstance): Device {
  const { device } = instance;
  const programs = webgpuPrograms(instance);
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
  const { vendor = '', architecture = '' } = device.adapterInfo ?? {};
  let lost = watchedDevices.get(device);
  if (!lost) {
    lost = device.lost.then(({ message }) => {
      lostDevices.add(device);
      return `the WebGPU device was lost: ${message}`;
    });
    watchedDevices.set(device, lost);
  }
  return {
    description: `${`${vendor} ${architecture}`.trim() || 'WebGPU adapter'} (tfjs webgpu)`,
    elements: Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 4),
    readSync: false,
    copies: false,
    execute: (targets, program) => runLazily(instance, programs, targets, program),
    reserve: () => {},
    transfer: plainly,
    finished: async () => {
      // tfjs collects programs and submits about a dozen at a time.
      instance.ensureCommandEncoderReady();
      instance.endComputePassEncoder();
      instance.submitQueue();
      await device.queue.onSubmittedWorkDone();
    },
    isLost: () => lostDevices.has(device),
    lost,
  };
}

/** The part of tfjs's `BackendWasm` that is used here. */
interface WasmInstance extends KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  getMemoryOffset(dataId: object): number;
}

function wasm(core: Core, instance: WasmInstance, module: WasmModule): Device {
  // A failed allocation returns address 0, and the kernel would write there, so it is checked before. Near the end of the memory it may also return an
  // address from which the data would reach beyond.
  const reserve = (elements: number): void => {
    const dataId = instance.write(null as never, [elements], 'float32');
    const offset = instance.getMemoryOffset(dataId);
    const failed = offset === 0 || offset + elements * 4 > instance.wasm.HEAPU8.length;
    instance.disposeData(dataId);
    if (failed) {
      throw new SoftgradError(
        'ERR_OUT_OF_MEMORY',
        `tfjs: ${elements * 4} more bytes do not fit into the 4 GiB of engine wasm: free results that are no longer needed, by scope(), using, dispose() or out, or work in parts`,
      );
    }
  };
  const traits: EagerTraits = {
    losesSecondNaN: true,
    slowBroadcast: false,
    reserve,
    allocate: (shape) => float32(instance.write(null as never, [...shape], 'float32'), shape),
    view({ dataId, shape, dtype }) {
      const length = shape.reduce((a, b) => a * b, 1);
      const values = { int32: Int32Array, bool: Uint8Array }[dtype as string] ?? Float32Array;
      return new values(instance.wasm.HEAPU8.buffer as ArrayBuffer, instance.getMemoryOffset(dataId), length);
    },
  };
  const simd = core.env().get('WASM_HAS_SIMD_SUPPORT') ? ' SIMD' : '';
  const threads = module.getThreadsCount();
  return {
    description: `WebAssembly${simd}, ${threads > 1 ? `${threads} threads` : '1 thread'} (tfjs wasm)`,
    elements: 2 ** 28,
    readSync: true,
    copies: true,
    execute: (targets, program) => runEagerly(instance, kernels(core, 'wasm', instance), traits, targets, program),
    reserve,
    transfer: plainly,
    finished: () => Promise.resolve(),
    isLost: () => false,
    lost: never,
  };
}

function cpu(core: Core, instance: KernelBackend): Device {
  const traits: EagerTraits = {
    losesSecondNaN: false,
    slowBroadcast: true,
    reserve: () => {},
    ...arraysOf(instance),
  };
  return {
    description: 'plain JavaScript (tfjs cpu)',
    elements: 2 ** 28,
    readSync: true,
    copies: false,
    execute: (targets, program) => runEagerly(instance, kernels(core, 'cpu', instance), traits, targets, program),
    reserve: () => {},
    transfer: plainly,
    finished: () => Promise.resolve(),
    isLost: () => false,
    lost: never,
  };
}

/** Access to the data of engine cpu: it keeps the arrays that it is given, and reads return them. */
export function arraysOf(instance: KernelBackend): Pick<EagerTraits, 'allocate' | 'view'> {
  return {
    allocate: (shape) => float32(instance.write(new Float32Array(sizeOf(shape)), [...shape], 'float32'), shape),
    view: ({ dataId }) => instance.readSync(dataId) as ReturnType<EagerTraits['view']>,
  };
}

function float32(dataId: object, shape: Shape): TensorInfo {
  return { dataId, shape: [...shape], dtype: 'float32' };
}

/** Looks kernels up in tfjs's registry and calls them with this engine's instance, regardless of the engine that is set. */
function kernels(core: Core, name: EngineName, instance: KernelBackend): RunKernel {
  return (kernelName, inputs, attributes = {}) => {
    const kernel = core.getKernel(kernelName, name);
    if (!kernel) {
      throw new SoftgradError('ERR_UNSUPPORTED', `tfjs: engine ${name} has no kernel ${kernelName}; use tfjs 4.22`);
    }
    return kernel.kernelFunc({ inputs: { ...inputs }, attrs: attributes, backend: instance }) as TensorInfo;
  };
}
