#!/usr/bin/env node
import { runFiltered } from './filtered-process.js';
import { isFiltered, mayOpenWebgpu } from './native-output.js';
import { missingPermission } from './permission.js';

const args = process.argv.slice(2);
const { bun, deno } = process.versions;
// With SOFTGRAD_DEBUG nothing is left out; Bun and Deno don't inherit the descriptor.
const asIs = process.env.SOFTGRAD_DEBUG || isFiltered(process.env) || bun !== undefined || deno !== undefined;
const exitCode = asIs || !mayOpenWebgpu(args) ? null : await filtered();
if (exitCode === null) await import('./process.js');
else process.exitCode = exitCode;

/** The exit code, or null where Node may not start a process: then the warnings are better than no result. */
async function filtered(): Promise<number | null> {
  try {
    return await runFiltered(args);
  } catch (error) {
    if (missingPermission(error) === null) throw error;
    return null;
  }
}
