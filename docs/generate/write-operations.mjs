// Writes docs/operations: part of `npm run docs:tables`.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseStudies } from '@softgrad/tools';
import { operationPages } from './operations.mjs';

const at = (name) => new URL(`../${name}`, import.meta.url);
const studies = parseStudies(readFileSync(at('data/performance.json'), 'utf8'), 'docs/data/performance.json');
for (const [file, text] of operationPages(studies)) writeFileSync(at(`operations/${file}`), text);
