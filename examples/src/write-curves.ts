import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes a drawing, in a folder that need not exist yet, and says so. Not in picture.ts, which loads the packages that draw. */
export function writeCurves(file: string, svg: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, svg);
  console.log(`curves written to ${file}`);
}
