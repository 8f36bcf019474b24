#!/usr/bin/env node
// The command is imported only after this check: a static import would be evaluated first, and fail on an old Node with an error that does not name
// the cause.
const needed = '20.19';
const { node } = process.versions;
const [major, minor] = node.split('.').map(Number);
const [neededMajor, neededMinor] = needed.split('.').map(Number);
if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  process.stderr.write(`softgrad: needs Node ${needed} or newer; this is ${node}\n`);
  process.exitCode = 2;
} else {
  await import('../dist/main.js');
}
