import { SoftgradError } from '@softgrad/core';
import type { Faults } from './faults.js';
import { computeStage } from './gpu.js';
import type { Counters } from './statistics.js';

/** A kernel variant: its WGSL, and the access to each buffer bound after the parameters at binding 0: 'r' to read, 'w' to write. */
export interface Program {
  /** The kernel's name in errors. */
  readonly name: string;
  readonly code: string;
  readonly access: string;
}

export interface Compiled {
  readonly name: string;
  readonly access: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** The compilation error, once it has been reported. */
  readonly fault: () => SoftgradError | null;
}

/** Maximum bytes of a kernel's parameters: the alignment of dynamic offsets, so that each dispatch has one slot. */
export const parameterBytes = 256;

export interface Pipelines {
  /**
   * The pipeline of a variant, compiled at its first use. The next call that may wait throws WGSL errors.
   *
   * @throws ERR_UNSUPPORTED if it is already known not to compile
   */
  get(key: string, make: () => Program): Compiled;
}

export function pipelineCache(device: GPUDevice, faults: Faults, counters: Counters): Pipelines {
  const compiled = new Map<string, Compiled>();
  const layouts = new Map<string, { readonly group: GPUBindGroupLayout; readonly pipeline: GPUPipelineLayout }>();

  const layoutOf = (access: string) => {
    let layout = layouts.get(access);
    if (!layout) {
      const group = device.createBindGroupLayout({ entries: entriesOf(access) });
      layout = { group, pipeline: device.createPipelineLayout({ bindGroupLayouts: [group] }) };
      layouts.set(access, layout);
    }
    return layout;
  };
  const compile = ({ name, code, access }: Program): Compiled => {
    let module: GPUShaderModule | undefined;
    let known: SoftgradError | null = null;
    const fault = async (message: string) => {
      known = await doesNotCompile(name, message, module);
      return known;
    };
    return faults.scope('validation', fault, () => {
      const layout = layoutOf(access);
      module = device.createShaderModule({ label: name, code });
      const compute = { module, entryPoint: 'main' };
      // A driver that cannot compile valid WGSL reports an internal error.
      const pipeline = faults.scope('internal', fault, () =>
        device.createComputePipeline({ label: name, layout: layout.pipeline, compute }),
      );
      return { name, access, pipeline, layout: layout.group, fault: () => known };
    });
  };
  return {
    get(key, make) {
      let found = compiled.get(key);
      if (!found) {
        found = compile(make());
        compiled.set(key, found);
        counters.pipelines++;
      }
      const fault = found.fault();
      if (fault) throw fault;
      return found;
    },
  };
}

function entriesOf(access: string): GPUBindGroupLayoutEntry[] {
  const parameters: GPUBindGroupLayoutEntry = {
    binding: 0,
    visibility: computeStage,
    buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: 0 },
  };
  const storage = [...access].map((mode, i): GPUBindGroupLayoutEntry => {
    const type = mode === 'w' ? 'storage' : 'read-only-storage';
    return { binding: i + 1, visibility: computeStage, buffer: { type } };
  });
  return [parameters, ...storage];
}

async function doesNotCompile(name: string, message: string, module: GPUShaderModule | undefined) {
  const information = await module?.getCompilationInfo();
  const lines = (information?.messages ?? [])
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, linePos, message: text }) => `${lineNum}:${linePos} ${text}`);
  const why = lines.length > 0 ? lines.join('; ') : message;
  return new SoftgradError('ERR_UNSUPPORTED', `webgpu: the kernel ${name} does not compile on this device: ${why}`);
}
