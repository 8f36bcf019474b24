// In the process of backend-webgpu's tests: WGSL contains all mutants as comments, and a pipeline is replaced by that of the active mutant when it is
// dispatched. Used by repeating-runner.mjs.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { apply } from './operators.mjs';

/**
 * The text of a TypeScript file with comments in its WGSL around what each mutant replaces: `/*<ID: AFTER *\/` before and `/*ID>*\/` behind. WGSL's
 * comments nest, and interpolations in AFTER are evaluated with the others.
 *
 * @param mutants of the file, with `id`
 */
export function withMarkers(text, mutants) {
  const marks = mutants.flatMap(({ id, start, end, after }) => [
    { at: start, size: end - start, isEnd: false, mark: `/*<${id}: ${after} */` },
    { at: end, size: end - start, isEnd: true, mark: `/*${id}>*/` },
  ]);
  // At the same place the ends of small ranges come first, then the beginnings of large ones. What is inserted last comes first in the text.
  const order = (a, b) => b.at - a.at || a.isEnd - b.isEnd || (a.isEnd ? b.size - a.size : a.size - b.size);
  return marks.sort(order).reduce((changed, { at, mark }) => apply(changed, { start: at, end: at, after: mark }), text);
}

/** The WGSL without markers, with one mutant if `mutant` is given. */
export function withoutMarkers(code, mutant) {
  let result = '';
  let at = 0;
  while (at < code.length) {
    const opening = code.indexOf('/*', at);
    if (opening < 0) break;
    const end = commentEnd(code, opening);
    const comment = code.slice(opening, end);
    const [head, id] = /^\/\*<(\d+): /.exec(comment) ?? [];
    const isMark = head !== undefined || /^\/\*\d+>\*\/$/.test(comment);
    result += code.slice(at, isMark ? opening : end);
    at = end;
    if (head === undefined || id !== mutant) continue;
    result += withoutMarkers(comment.slice(head.length, -3));
    const close = `/*${id}>*/`;
    at = code.indexOf(close, end) + close.length;
  }
  return result + code.slice(at);
}

/** The mutants in a WGSL text. */
function mutantsIn(code) {
  return new Set([...code.matchAll(/\/\*(\d+)>\*\//g)].map(([, id]) => id));
}

/** Where the comment ends that begins at `at`; comments nest. */
function commentEnd(code, at) {
  let depth = 0;
  for (let k = at; k < code.length; k++) {
    if (code.startsWith('/*', k)) depth++;
    else if (code.startsWith('*/', k)) depth--;
    else continue;
    k++;
    if (depth === 0) return k + 1;
  }
  return code.length;
}

/** Replaces methods of Dawn. @param state of the runner: `currentTestId` while dispatches are counted, `activeMutant` while a mutant is tried */
export async function install(state) {
  const { globals } = await import(pathToFileURL(join(process.cwd(), 'node_modules', 'webgpu', 'index.js')).href);
  const { GPUDevice, GPUComputePassEncoder } = globals;
  const { createShaderModule, createComputePipeline } = GPUDevice.prototype;
  const { setPipeline } = GPUComputePassEncoder.prototype;
  const codes = new WeakMap();
  /** By pipeline: its `device`, `descriptor`, marked `code`, `mutants`, and the pipelines of those by id. */
  const programs = new WeakMap();
  const known = new Set();
  /** The programs that the latest counted test dispatched. */
  let dispatched = new Set();

  GPUDevice.prototype.createShaderModule = function (descriptor) {
    const module = createShaderModule.call(this, { ...descriptor, code: withoutMarkers(descriptor.code) });
    codes.set(module, descriptor.code);
    return module;
  };
  GPUDevice.prototype.createComputePipeline = function (descriptor) {
    const pipeline = createComputePipeline.call(this, descriptor);
    const code = codes.get(descriptor.compute.module);
    const program = { device: this, descriptor, code, mutants: mutantsIn(code), changed: new Map() };
    programs.set(pipeline, program);
    known.add(program);
    return pipeline;
  };
  GPUComputePassEncoder.prototype.setPipeline = function (pipeline) {
    const program = programs.get(pipeline);
    if (program && state.currentTestId !== undefined) count(program);
    const { activeMutant } = state;
    const isChanged = program && activeMutant !== undefined && program.mutants.has(activeMutant);
    return setPipeline.call(this, isChanged ? changed(program, activeMutant).pipeline : pipeline);
  };

  function count(program) {
    const { perTest } = state.mutantCoverage;
    if (!perTest[state.currentTestId]) {
      perTest[state.currentTestId] = {};
      dispatched = new Set();
    }
    dispatched.add(program);
    for (const id of program.mutants) perTest[state.currentTestId][id] = 1;
  }

  function changed(program, mutant) {
    const { device, descriptor, code } = program;
    if (!program.changed.has(mutant)) {
      const module = createShaderModule.call(device, { code: withoutMarkers(code, mutant) });
      const pipeline = createComputePipeline.call(device, {
        ...descriptor,
        compute: { ...descriptor.compute, module },
      });
      program.changed.set(mutant, { module, pipeline });
    }
    return program.changed.get(mutant);
  }

  return {
    hitsOf: (calls) => calls,
    /** Compiles a mutant's variants of the programs that the latest test dispatched, so that a test's time does not contain it. */
    async effectOn(_, mutant) {
      for (const program of dispatched) {
        if (!program.mutants.has(mutant)) continue;
        program.device.pushErrorScope('validation');
        const { module } = changed(program, mutant);
        const error = await program.device.popErrorScope();
        if (error || (await module.getCompilationInfo()).messages.some(({ type }) => type === 'error')) return 'error';
      }
      return 'different';
    },
    restore() {},
    forget(mutant) {
      for (const { changed: pipelines } of known) pipelines.delete(mutant);
    },
  };
}
