// Writes docs/operations, the limits of sizes, the picture of the Jacobian and the badges; part of `npm run docs:tables`.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseStudies } from '@softgrad/tools';
import { badges } from './badges.mjs';
import { jacobianPicture } from './jacobian-picture.mjs';
import { operationPages } from './operations.mjs';
import { withSizes } from './sizes.mjs';

const at = (name) => new URL(`../${name}`, import.meta.url);
const studies = parseStudies(readFileSync(at('data/performance.json'), 'utf8'), 'docs/data/performance.json');
const errors = JSON.parse(readFileSync(at('data/accuracy.json'), 'utf8'));
for (const [file, text] of operationPages(studies, errors)) writeFileSync(at(`operations/${file}`), text);
writeFileSync(at('images/jacobian.svg'), await jacobianPicture());
for (const [file, text] of badges()) writeFileSync(at(`images/badges/${file}`), text);
const architecture = at('architecture.md');
writeFileSync(architecture, withSizes(readFileSync(architecture, 'utf8')));
