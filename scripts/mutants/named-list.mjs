// Faults that once left every test of their package green, as small changes of the present code. If a line has been rewritten since then, the
// change has the same effect. `npm run mutants -- named` makes them one by one and runs the tests that should detect them.

/**
 * `what`: the effect of the change; `shows`: an input for which it matters; `edits`: pairs of a text, which occurs exactly once in `file`, and its
 * replacement; `tests`: the test files of the package that run, in Node; `built`: whether the tests start processes or threads that load `dist`,
 * which must be compiled from the changed source.
 */
export const named = [
  {
    package: 'backend-wasm',
    file: 'src/kernels/cross-entropy.c',
    what: 'the mask of cross-entropy does not repeat',
    shows: 'logits (5, 3) with a mask (1, 3)',
    edits: [[' + c * g->step) % wrap] ? -1 : 0', ' + c * g->step + 0 * wrap)] ? -1 : 0']],
    tests: ['masks', 'conformance'],
  },
  {
    package: 'backend-wasm',
    file: 'src/kernels/single-rows.h',
    what: 'WINDOW is 60 instead of 41',
    shows: '128,256 logits, 16 of them 0, the others 59',
    edits: [['#define WINDOW 41', '#define WINDOW 60']],
    tests: ['peaks', 'thresholds'],
  },
  {
    package: 'backend-wasm',
    file: 'src/kernels/exp.h',
    what: 'REDUCIBLE is 512 instead of 256',
    shows: 'T = 2.87, x/T near 480',
    edits: [['#define REDUCIBLE 256', '#define REDUCIBLE 512']],
    tests: ['temperature', 'thresholds'],
  },
  {
    package: 'backend-wasm',
    file: 'src/kernel-calls.ts',
    what: 'cross-entropy has scratch memory for two vectors a class instead of three',
    shows: 'probabilities as target, 1000 classes: another tensor is overwritten',
    edits: [
      [
        "runRows(runner, 'cross_entropy', logits, rows, operands, 3,",
        "runRows(runner, 'cross_entropy', logits, rows, operands, 2,",
      ],
    ],
    tests: ['guards', 'memory'],
  },
  {
    package: 'backend-wasm',
    file: 'src/kernels/blocks.h',
    what: 'NEAR is 115 instead of 100',
    shows: '4 × 5 logits of 20, one lower by 111 to 115',
    edits: [['#define NEAR 100', '#define NEAR 115']],
    tests: ['mixed-rows', 'thresholds'],
  },
  {
    package: 'backend-wasm',
    file: 'src/kernels/vjp.c',
    what: 'rows whose ⟨s, g⟩ is 2^103 count as harmless beside rows in which it is −2^102, with relaxed SIMD',
    shows: 'rows of four: g = [−2^104, 0, 0, 0], and ±largest, whose differences overflow',
    edits: [['splat(0x1p27f), sum)', 'splat(0x1p25f), sum)']],
    tests: ['vjp'],
  },
  {
    package: 'backend-wasm',
    file: 'src/kernels/jacobian.c',
    what: 'the strip of an even number of classes is written beyond its end, on the stack',
    shows: 'a Jacobian of rows of 6 or 10 classes',
    edits: [['for (size_t c = 0; c < 32; c++) strip[c]', 'for (size_t c = 0; c < 45; c++) strip[c]']],
    tests: ['guards'],
  },
  {
    package: 'backend-cpu',
    file: 'src/tiles.ts',
    what: 'a mask block of row o is ⌊o · m / outer⌋ instead of o mod m',
    shows: 'logSoftmax of (3, 2, 3) with a mask (2, 3)',
    edits: [
      [
        'const block = (inner === 1 ? tile.outer + r : tile.outer) % mask.outer;',
        'const block = Math.floor(((inner === 1 ? tile.outer + r : tile.outer) * mask.outer) / rows.outer);',
      ],
    ],
    tests: ['layouts', 'conformance'],
  },
  {
    package: 'backend-cpu',
    file: 'src/kernels/softmax-single.ts',
    what: 'the last part of a long row is written as a full part',
    shows: 'softmax in place of 2 × 200,000',
    edits: [
      [
        'const length = Math.min(longRow, classes - k);\n      expAndSum',
        'const length = Math.min(longRow, end - start - k);\n      expAndSum',
      ],
    ],
    tests: ['kernels', 'thresholds'],
  },
  {
    package: 'backend-cpu',
    file: 'src/kernels/cross-entropy.ts',
    what: 'Σ q is taken to be 1',
    shows: 'a target of [0.2, 0.2, 0.2]',
    edits: [['* target.total - target.q[c])', '* 1 - target.q[c])']],
    tests: ['cross-entropy', 'conformance'],
  },
  {
    package: 'backend-webgpu',
    file: 'src/queue.ts',
    what: 'a buffer is released without submitting the work that needs it',
    shows: 'pooledBytes 0, an operand freed while its operation is enqueued',
    edits: [['if (inBatch.has(slot)) flush();\n      bindGroups.drop(slot);', 'bindGroups.drop(slot);']],
    tests: ['pool', 'faults', 'counts'],
  },
  {
    package: 'backend-gpujs',
    file: 'src/program.ts',
    what: 'a quotient is not refined',
    shows: 'a / 1 from 2²⁶ on',
    edits: [[`\${first} + refine((\${a}) - \${first} * (\${b}), \${b}))`, `\${first})`]],
    tests: ['modes'],
  },
  {
    package: 'backend-gpujs',
    file: 'src/program.ts',
    what: 'exp is 0 below −87.4',
    shows: '[0, −90], a subnormal probability',
    edits: [['if (v < -104) { return 0; }', 'if (v < -87.4) { return 0; }']],
    tests: ['modes'],
  },
  {
    package: 'backend-tfjs',
    file: 'src/verbs/eager.ts',
    what: 'intermediate results are not disposed when a kernel throws',
    shows: 'memory is full, five logSoftmax fail: seven data ids are left',
    edits: [
      [
        '  } finally {\n    for (const info of made) instance.disposeData(info.dataId);\n  }',
        '  } finally {\n    if (made.size === 0) for (const info of made) instance.disposeData(info.dataId);\n  }',
      ],
    ],
    tests: ['failures', 'engines'],
  },
  {
    package: 'backend-tfjs',
    file: 'src/device.ts',
    what: 'engine wasm loses a NaN of a second operand',
    shows: 'max([1], [NaN]) = 1, with which the backend would announce `unspecified` and 165 cases would be skipped',
    edits: [['const traits = { losesSecondNaN: true', 'const traits = { losesSecondNaN: false']],
    tests: ['engines', 'conformance'],
  },
  {
    package: 'backend-tfjs',
    file: 'src/kernels/vjp.ts',
    what: 'the cotangent of a probability above ½ is not taken off at T ≠ 1',
    shows: 's = [1, 5.6e-17, 3e-9], T = 2',
    edits: [
      [
        "const rest = verbs.binary('sub', g, origin);",
        "const rest = temperature === 1 ? verbs.binary('sub', g, origin) : g;",
      ],
    ],
    tests: ['numbers', 'conformance'],
  },
  {
    package: 'backend-tfjs',
    file: 'src/verbs/lazy.ts',
    what: 'results of earlier targets are not disposed when the program of a later one throws',
    shows: 'crossEntropy whose gradient fails after its loss',
    edits: [['    made.push(...results);\n', '']],
    tests: ['failures', 'engines'],
  },
  {
    package: 'core',
    file: 'src/ops/cross-entropy.ts',
    what: '`out` may be the target on a backend that does not work in place',
    shows: 'crossEntropy.gradient(x, q, { out: q })',
    edits: [
      [
        'compute(call.operation, call.x, call.x.shape, options.out, [call.x.buffer, call.target.buffer], (out) =>',
        'compute(call.operation, call.x, call.x.shape, options.out, [call.x.buffer], (out) =>',
      ],
    ],
    tests: ['out', 'cross-entropy'],
  },
  {
    package: 'core',
    file: 'src/ops/cross-entropy-formula.ts',
    what: 'the composition of cross-entropy ignores rows below 0 only',
    shows: 'ignoreIndex 0 with label smoothing',
    edits: [
      [
        "target.kind === 'indices' && target.host[row] === ignoreIndex) return 0;",
        "target.kind === 'indices' && Number(target.host[row]) < 0) return 0;",
      ],
    ],
    tests: ['cross-entropy', 'masks-and-targets'],
  },
  {
    package: 'core',
    file: 'src/gradcheck/check.ts',
    what: 'gradcheck allows 100 times the error in float32',
    shows: 'a slope that is off by 0.1 %',
    edits: [['float32: 2e-5,', 'float32: 2e-3,']],
    tests: ['gradcheck'],
  },
  {
    package: 'core',
    file: 'conformance/tolerance.ts',
    what: 'the bound of logSoftmax.vjp is 100 times as large',
    shows: 'an error of 50 units',
    edits: [
      [
        'return scale * unit * (after * size + (p === 0 ? 0 : p * units * total)) + underflow;',
        'return 100 * scale * unit * (after * size + (p === 0 ? 0 : p * units * total)) + underflow;',
      ],
    ],
    tests: ['conformance-bounds', 'conformance-tolerance'],
  },
  {
    package: 'core',
    file: 'conformance/problem.ts',
    what: 'cases with logits of −Infinity need a backend that announces `ieee`',
    shows: '44 instead of 29 of 79 cases are skipped where a backend announces `unspecified`',
    edits: [
      ['if (value === Number.NEGATIVE_INFINITY)\n', 'if (value === Number.NEGATIVE_INFINITY && Number.isNaN(value))\n'],
    ],
    tests: ['conformance-requirements', 'conformance-announcements'],
  },
  {
    package: 'core',
    file: 'src/tensor/scope.ts',
    what: 'a scope whose body throws stays open',
    shows: 'an inner scope that throws, caught in an outer one',
    edits: [
      [
        '    return result;\n  } finally {\n    innermost = around;\n',
        '    innermost = around;\n    return result;\n  } finally {\n',
      ],
    ],
    tests: ['scope'],
  },
  {
    package: 'formats',
    file: 'src/half.ts',
    what: 'a float64 is rounded to float32 before it is rounded to half precision',
    shows: '2049.0000001 becomes 2048 instead of 2050',
    edits: [['const magnitude = Math.abs(value);', 'const magnitude = Math.abs(Math.fround(value));']],
    tests: ['npy'],
  },
  {
    package: 'formats',
    file: 'src/zip-checksums.ts',
    what: 'the extra field of a ZIP directory is not skipped',
    shows: 'two members with extra fields',
    edits: [['at += 46 + nameLength + view.getUint16(at + 30, true) +', 'at += 46 + nameLength +']],
    tests: ['npz'],
  },
  {
    package: 'cli',
    file: 'src/files/output.ts',
    what: 'a result is copied over its destination instead of renamed',
    shows: 'the inode of the destination stays the same',
    edits: [
      ['await rename(temporary, target);', 'await copyFile(temporary, target);\n        await unlink(temporary);'],
      [
        'import { chmod, open, readlink, realpath, rename, stat, unlink }',
        'import { chmod, copyFile, open, readlink, realpath, stat, unlink }',
      ],
    ],
    tests: ['output', 'files'],
  },
  {
    package: 'cli',
    file: 'src/files/write.ts',
    what: 'there is no comma between two parts of a .json result',
    shows: 'a .npy of (1,200,000, 1) to .json',
    edits: [['        next = separator;', "        next = '';"]],
    tests: ['output', 'files', 'limits', 'commands'],
  },
  {
    package: 'distributed',
    file: 'src/folder-store.ts',
    what: 'a part is written in its place instead of linked to it, and replaces what is there',
    shows: 'a worker killed while it writes; a part that is there already',
    edits: [
      [
        "    await writeDurably(temporary, bytes);\n    reached('store:temporary', path);\n    const linked = await linkUnlessPresent(temporary, absolute);",
        "    await unlink(absolute).catch(ifMissing(undefined));\n    await writeDurably(absolute, bytes);\n    reached('store:temporary', path);\n    const linked = (await linkUnlessPresent(absolute, temporary)) || true;",
      ],
    ],
    tests: ['store', 'runs'],
    built: true,
  },
  {
    package: 'distributed',
    file: 'src/s3/s3-store.ts',
    what: 'large objects are joined from pieces, whether or not the server applies the condition to that request',
    shows:
      'a server that honours If-None-Match only on PutObject, as Ceph 16 does, and a large object that is put twice',
    edits: [['(await canPutInPieces()) ? putInPieces : putLarge', 'putInPieces']],
    tests: ['s3'],
  },
  {
    package: 'distributed',
    file: 'src/step.ts',
    what: 'the parts of a row merge in the order in which their statistics were written',
    shows: 'five shards of classes, computed in any order',
    edits: [
      [
        '    for (const index of blocks)\n',
        '    const of = async (i: number) => (await store.stat(runFiles.statistics(plan.out, i)))?.modified ?? 0;\n    const times = new Map(await Promise.all(blocks.map(async (i) => [i, await of(i)] as const)));\n    for (const index of [...blocks].sort((a, b) => (times.get(a) ?? 0) - (times.get(b) ?? 0)))\n',
      ],
    ],
    tests: ['runs'],
    built: true,
  },
  {
    package: 'distributed',
    file: 'src/statistics.ts',
    what: 'a part of a row that is wholly masked is not the identity',
    shows: 'a shard of classes whose entries are all masked, beside a target of probabilities',
    edits: [['  if (kept === 0) return identity;\n  const hasTarget', '  const hasTarget']],
    tests: ['statistics'],
  },
  {
    package: 'distributed',
    file: 'src/statistics.ts',
    what: 'merging multiplies by exp(−∞ + ∞) where two parts are the identity',
    shows: 'two shards of classes whose entries are all masked',
    edits: [['  if (minor.max === Number.NEGATIVE_INFINITY) return { ...major, ...own, ...mixed };\n', '']],
    tests: ['statistics'],
  },
  {
    package: 'distributed',
    file: 'src/redis/worker.ts',
    what: 'a shard may be lost to a dead worker once (maxStalledCount is 1)',
    shows: 'a shard whose worker is killed twice',
    edits: [['const defaultStalledCount = 20;', 'const defaultStalledCount = 1;']],
    tests: ['redis'],
    built: true,
  },
];
