// node run-snippets.mjs FILES: runs modules one after another in this process, and prints as JSON what each printed or threw.

import { pathToFileURL } from 'node:url';
import { format } from 'node:util';

const { log } = console;
const outputs = [];
for (const file of process.argv.slice(2)) {
  const lines = [];
  console.log = (...values) => lines.push(format(...values));
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    lines.push(format(error));
  }
  outputs.push(lines.join('\n'));
}
console.log = log;
console.log(JSON.stringify(outputs));
