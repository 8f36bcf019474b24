import type { Backend } from './interface.js';

/** The key under which Node, and the consoles that follow it, look for the printed form of an object. */
export const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/**
 * Gives a backend, a plain object with some forty functions, one line for `console.log` in Node and for `String`. A backend with a form of its own keeps
 * it, and one that is frozen is printed as the object that it is.
 */
export function printInOneLine(backend: Backend): void {
  const form = { value: line, writable: true, configurable: true };
  if (!(inspect in backend)) Reflect.defineProperty(backend, inspect, form);
  if (backend.toString === Object.prototype.toString) Reflect.defineProperty(backend, 'toString', form);
}

function line(this: Backend): string {
  const { name, supports, closed, lost } = this;
  const state = closed ? ', closed' : lost ? ', device lost' : '';
  return `Backend ${name}: ${supports.dtypes.join(', ')} on ${supports.device}${state}`;
}
