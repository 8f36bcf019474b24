#!/usr/bin/env node
import { isFiltered, mayOpenWebgpu, runFiltered } from './native-output.js';

const args = process.argv.slice(2);
const { bun, deno } = process.versions;
// With SOFTGRAD_DEBUG nothing is left out; Bun and Deno don't inherit the descriptor.
const asIs = process.env.SOFTGRAD_DEBUG || isFiltered(process.env) || bun !== undefined || deno !== undefined;
if (asIs || !mayOpenWebgpu(args)) await import('./process.js');
else process.exitCode = await runFiltered(args);
