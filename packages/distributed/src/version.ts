import { readFileSync } from 'node:fs';

/** That of this package: what a plan pins. */
export const version: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
