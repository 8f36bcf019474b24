// Reads the arguments of a command of this repository. The comment at the beginning of its file is what `--help` prints.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/**
 * The `values` and `positionals` of this process's arguments. Ends the process after `--help`, and with exit code 2 if there is an argument that the
 * command does not take.
 *
 * @param url of the command's file
 * @param config for `parseArgs` of node:util
 */
export function argumentsOf(url, { options = {}, ...config } = {}) {
  const parsed = parse({ ...config, options: { ...options, help: { type: 'boolean', default: false } } });
  if (!parsed.values.help) return parsed;
  console.log(helpOf(readFileSync(new URL(url), 'utf8')));
  process.exit(0);
}

function parse(config) {
  try {
    return parseArgs(config);
  } catch (error) {
    // What follows is advice for arguments that begin with a hyphen, which no command takes.
    console.error(`${error.message.replace(/\. To specify .*/s, '')}; --help lists what there is`);
    process.exit(2);
  }
}

/** The comment at the beginning of a file. */
function helpOf(text) {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines
    .slice(0, end)
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join('\n');
}
