// The table of limits in docs/architecture.md, from packages/softgrad/.size-limit.js.
import limits from '../../packages/softgrad/.size-limit.js';
import { table, withBetween } from './markdown.mjs';

/** The page with the table inserted between its marks. */
export function withSizes(page) {
  const rows = limits.map(({ name, limit }) => [name, limit]);
  return withBetween(page, 'sizes', table(['what a page loads', 'at most'], rows), 'docs/architecture.md', 'sizes');
}
