import { shortened } from '../shortened.js';
import { isBranded } from './brand.js';

/** A short description of a value, for messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length} ${value.length === 1 ? 'entry' : 'entries'}`;
  if (typeof value === 'string') return `the text ${JSON.stringify(shortened(value, 20))}`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (isBranded(value)) return 'a tensor';
  if (value instanceof Promise) return 'a promise (await it first)';
  return typeof value === 'object' ? `an object (${value.constructor?.name ?? 'no prototype'})` : typeof value;
}

/**
 * The name and the value of an option, for the message that refuses it: a number as it is, anything else with its kind, because the text '0'
 * would look like the number 0.
 *
 * @example
 * describeOption('threads', 0); // 'threads 0'
 * describeOption('threads', '2'); // 'threads is the text "2"'
 */
export function describeOption(name: string, value: unknown): string {
  return typeof value === 'number' ? `${name} ${value}` : `${name} is ${describe(value)}`;
}
