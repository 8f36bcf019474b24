import { altered } from './device.js';

/** The loads and stores of kernels on a device, counted by `load_…` and `store_…` functions that tests instrument. */
export interface Traced {
  /** The device to open the backend with. */
  readonly device: GPUDevice;
  /** The WGSL of kernels, in the order of compilation. */
  readonly programs: readonly { readonly name: string; readonly code: string }[];
  /** Workgroups of each dispatch. */
  readonly grids: readonly (readonly [x: number, y: number])[];
  /** Elements loaded and stored since the last call, and by the first workgroup the number of stores and the first index that each invocation loaded. */
  told(): Promise<{
    readonly loads: number;
    readonly stores: number;
    readonly firstStores: number;
    readonly firstLoads: readonly number[];
  }>;
}

const binding = 15;
const invocations = 256;
const counters = 3;
const words = counters + invocations;
const untouched = 0xffffffff;

/** @param dispatching false: dispatches are recorded but not executed */
export function traced(device: GPUDevice, dispatching = true): Traced {
  const programs: { name: string; code: string }[] = [];
  const grids: [number, number][] = [];
  const size = 4 * words;
  const trace = device.createBuffer({ size, usage: 0x80 | 0x04 | 0x08 }); // STORAGE | COPY_SRC | COPY_DST
  const reset = () => device.queue.writeBuffer(trace, 0, new Uint32Array(words).fill(untouched, counters));
  reset();
  return {
    programs,
    grids,
    device: altered(device, {
      createShaderModule({ label = '', code }: GPUShaderModuleDescriptor) {
        programs.push({ name: label, code });
        return device.createShaderModule({ label, code: counting(code) });
      },
      createBindGroupLayout: ({ entries }: GPUBindGroupLayoutDescriptor) =>
        device.createBindGroupLayout({
          entries: [...entries, { binding, visibility: 4, buffer: { type: 'storage' } }],
        }),
      createBindGroup: ({ layout, entries }: GPUBindGroupDescriptor) =>
        device.createBindGroup({ layout, entries: [...entries, { binding, resource: { buffer: trace } }] }),
      createCommandEncoder() {
        const encoder = device.createCommandEncoder();
        const begin = encoder.beginComputePass.bind(encoder);
        encoder.beginComputePass = (descriptor) => {
          const pass = begin(descriptor);
          const dispatch = pass.dispatchWorkgroups.bind(pass);
          pass.dispatchWorkgroups = (x, y = 1) => {
            grids.push([x, y]);
            if (dispatching) dispatch(x, y);
          };
          return pass;
        };
        return encoder;
      },
    }),
    async told() {
      const copy = device.createBuffer({ size, usage: 0x01 | 0x08 }); // MAP_READ | COPY_DST
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(trace, 0, copy, 0, size);
      device.queue.submit([encoder.finish()]);
      await copy.mapAsync(1);
      const [loads, stores, firstStores, ...first] = new Uint32Array(copy.getMappedRange().slice(0));
      copy.destroy();
      reset();
      return {
        loads,
        stores,
        firstStores,
        firstLoads: first.filter((index) => index !== untouched),
      };
    },
  };
}

/** A kernel that counts its loads and stores. */
function counting(code: string): string {
  const elements = (type: string) => (type.startsWith('vec4') ? 4 : 1);
  const declared = /* wgsl */ `
@group(0) @binding(${binding}) var<storage, read_write> TRACE: array<atomic<u32>>;
var<private> trace_first = false;
var<private> trace_lane: u32 = ${untouched}u;`;
  return code
    .replace(/^(?=struct Parameters)/m, `${declared}\n`)
    .replace(
      /(@builtin\(workgroup_id\) group[^)]*@builtin\(num_workgroups\)[^)]*@builtin\(local_invocation_index\) local: u32,\s*\) \{)/,
      `$1
  trace_first = group.x == 0u && group.y == 0u;
  trace_lane = select(${untouched}u, local, trace_first);`,
    )
    .replace(
      /fn load_\w+\(i: u32\) -> ([\w<>]+) \{/g,
      (head, type) => `${head}
  atomicAdd(&TRACE[0], ${elements(type)}u);
  if (trace_lane < ${invocations}u) { atomicStore(&TRACE[${counters}u + trace_lane], i); trace_lane = ${untouched}u; }`,
    )
    .replace(
      /fn store_\w+\(i: u32, bits: ([\w<>]+)\) \{/g,
      (head, type) => `${head}
  atomicAdd(&TRACE[1], ${elements(type)}u);
  if (trace_first) { atomicAdd(&TRACE[2], ${elements(type)}u); }`,
    );
}
