import { z } from 'zod';

/** In UTF-16 code units, as Linux limits a path in bytes. */
export const longestPath = 4096;

/** A path within a store. Opening it checks that it stays there; paths that obviously do not are refused here. */
const path = z
  .string()
  .min(1)
  .max(longestPath)
  .refine((text) => !text.startsWith('/') && !text.split('/').includes('..') && !/[\\\0]/.test(text), {
    message: 'expected a relative path without ..',
  });
const count = z.int().min(0);
const shape = z.array(count).max(64).readonly();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const floatDType = z.enum(['float16', 'float32', 'float64']);

const operationSchema = z.enum(['softmax', 'log-softmax', 'log-sum-exp', 'vjp', 'jvp', 'cross-entropy']);
/** What a run computes. */
export type Operation = z.infer<typeof operationSchema>;

const inputFileSchema = z.strictObject({
  path,
  byteLength: count,
  /** In milliseconds since 1970: a file that has changed is another input. */
  modified: z.int(),
  shape,
  dtype: z.enum(['float16', 'float32', 'float64', 'int32', 'bool']),
});

/** One array in one or more consecutive files, along the first dimension (rows) or the last (classes). */
const inputSchema = z.strictObject({
  shape,
  by: z.enum(['rows', 'classes']),
  files: z.array(inputFileSchema).min(1).readonly(),
});
export type Input = Readonly<z.infer<typeof inputSchema>>;
export type InputFile = Readonly<z.infer<typeof inputFileSchema>>;

/** Everything that determines the results of a run, byte for byte; its hash is the run's id. */
export const planSchema = z.strictObject({
  format: z.literal('softgrad-plan/1'),
  /** The version of @softgrad/distributed. Workers with another version refuse the plan. */
  version: z.string(),
  operation: operationSchema,
  /** What shards are ranges of: the first dimension, or classes. */
  by: z.enum(['rows', 'classes']),
  backend: z.string().min(1),
  options: z.strictObject({
    axis: count,
    temperature: z.number().positive(),
    /** The dtype of the results. */
    dtype: floatDType,
    reduction: z.enum(['mean', 'sum', 'none']).optional(),
    ignoreIndex: z.int().optional(),
    /** Whether cross-entropy also writes the gradient. */
    gradient: z.boolean().optional(),
    /** The divisor of the mean: the number of rows, or the sum of the weights of their classes. */
    counted: z.number().optional(),
    /** True where these weights add up to 0 although some of them are not 0. */
    weightsCancel: z.boolean().optional(),
    /** Class indices, one for each row, or probabilities with the shape of the logits. */
    target: z.enum(['indices', 'probabilities']).optional(),
    labelSmoothing: z.number().min(0).max(1).optional(),
  }),
  inputs: z.strictObject({
    logits: inputSchema,
    direction: inputSchema.optional(),
    mask: inputSchema.optional(),
    target: inputSchema.optional(),
    weight: inputSchema.optional(),
  }),
  /** The largest number of rows and classes of a shard. */
  block: z.strictObject({ rows: z.int().positive(), classes: z.int().positive() }),
  out: path,
});
/** A run, `plan.json` in the folder of its results. */
export type Plan = Readonly<z.infer<typeof planSchema>>;

/** Stored for a shard before its parts: if two workers compute different bits, the second one finds the record of the first and fails. */
export const recordSchema = z.strictObject({
  /** The id of the run, because a folder that was removed may be used for another one. */
  run: z.string(),
  shard: z.string(),
  parts: z.array(z.strictObject({ path, byteLength: count, sha256 })).readonly(),
  /** The sum of the losses of its rows, as a decimal text, because JSON has no NaN and no infinities. */
  lossSum: z.string().optional(),
  /** Of the JSON text of all properties above. */
  sha256,
});
export type ShardRecord = Readonly<z.infer<typeof recordSchema>>;

/** What the first worker of a run computed from a fixed input: all others must compute the same bits. */
const pinsSchema = z.strictObject({ version: z.string(), backend: z.string(), fingerprint: sha256 });
export type Pins = Readonly<z.infer<typeof pinsSchema>>;

/** The file of the pins: the run's id shows whether the plan was changed after the run started. */
export const runPinsSchema = z.strictObject({ run: z.string(), ...pinsSchema.shape });
export type RunPins = Readonly<z.infer<typeof runPinsSchema>>;

const partSchema = z.strictObject({ path, start: shape, shape, byteLength: count, sha256 });

/** The results of a finished run. */
export const manifestSchema = z.strictObject({
  format: z.literal('softgrad-parts/1'),
  run: z.string(),
  versions: pinsSchema,
  operation: operationSchema,
  options: planSchema.shape.options,
  arrays: z.record(z.string(), z.strictObject({ shape, dtype: floatDType, parts: z.array(partSchema).readonly() })),
  /** Results that are single numbers, as decimal texts. */
  values: z.record(z.string(), z.string()),
});
/** The results of a finished run, `manifest.json` in their folder. */
export type Manifest = Readonly<z.infer<typeof manifestSchema>>;

const stepSchema = z.enum(['statistics', 'merge', 'apply', 'finish']);
export type Step = z.infer<typeof stepSchema>;

/** The payload of a job in the queue: only where to find everything else. */
export const taskSchema = z.strictObject({
  run: z.string().regex(/^[0-9a-f]{32}$/),
  out: path,
  step: stepSchema,
  index: count,
});
export type Task = Readonly<z.infer<typeof taskSchema>>;
