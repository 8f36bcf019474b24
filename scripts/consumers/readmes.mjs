// Does what the READMEs tell a reader to do: every install line as it is written, and the first example after it.
import { readFileSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { withProject } from './project.mjs';

/** The blocks of a language in a package's README. */
export function readmeBlocks(folder, language) {
  const lines = readFileSync(join(folder, 'README.md'), 'utf8').split('\n');
  const blocks = [];
  for (let line = 0; line < lines.length; line++) {
    if (lines[line].trim() !== `\`\`\`${language}`) continue;
    const end = lines.indexOf('```', line + 1);
    const place = `packages/${basename(folder)}/README.md:${line + 1}`;
    blocks.push({ place, text: lines.slice(line + 1, end).join('\n') });
    line = end;
  }
  return blocks;
}

/** Every command in a README that installs something: the shell blocks with one, and code in the text, as in a table of packages. */
function installCommands(folder) {
  const blocks = readmeBlocks(folder, 'sh').filter(({ text }) => /^npm install /m.test(text));
  const text = readFileSync(join(folder, 'README.md'), 'utf8');
  const inText = [...text.matchAll(/`(npm install [^`]+)`/g)].map(([, command]) => command);
  return { blocks: blocks.map((block) => block.text.split('\n').filter((line) => line.trim() !== '')), inText };
}

/** Runs the install commands of a README in an empty project, after the first block its first example, and compares the output. */
export async function checkReadmes({ registry, check, packed }) {
  const results = {};
  for (const { folder, manifest } of packed) {
    const name = basename(folder);
    results[manifest.name] = await check(`readmes: ${name}`, () => checkReadme(folder, name, registry));
  }
  return { results };
}

async function checkReadme(folder, name, registry) {
  const { blocks, inText } = installCommands(folder);
  const [first, ...others] = blocks;
  if (!first) throw new Error(`packages/${name}/README.md has no block \`\`\`sh with \`npm install\``);
  return withProject(name, registry, async (project) => {
    // Global installations go into a folder of the project, where the shell finds their commands.
    const path = [join(project.folder, 'global', 'bin'), process.env.PATH].join(delimiter);
    const env = { npm_config_prefix: join(project.folder, 'global'), PATH: path };
    for (const line of first) await project.shell(line, { env });
    const [example] = readmeBlocks(folder, 'ts');
    const [session] = readmeBlocks(folder, 'console');
    if (example) await runExample(project, example);
    else if (session) await runSession(project, session);
    for (const line of [...inText, ...others.flat()]) await project.shell(line, { env });
    return 'installs, example runs';
  });
}

async function runExample(project, { place, text }) {
  // Imported here, because this module is loaded before anything is installed.
  const { transformWithOxc } = await import('vite');
  const { code } = await transformWithOxc(text, 'example.ts', { target: 'es2022', sourcemap: false });
  project.write('example.mjs', code);
  const printed = await project.run(process.execPath, ['example.mjs']);
  const expected = [...text.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, comment]) => comment);
  compare(place, printed, expected);
}

/** Runs the commands of a terminal session, which follow a `$`, and compares their output. */
async function runSession(project, { place, text }) {
  const path = [join(project.folder, 'global', 'bin'), process.env.PATH].join(delimiter);
  for (const part of text.split(/^\$ /m).slice(1)) {
    const [command, ...expected] = part.trimEnd().split('\n');
    compare(`${place}, ${command},`, await project.shell(command, { env: { PATH: path } }), expected);
  }
}

function compare(what, output, expected) {
  const lines = output.trimEnd().split('\n');
  const printed = lines.map((line) => line.trimEnd()).join('\n');
  if (printed !== expected.join('\n')) {
    throw new Error(`${what} printed\n${printed}\ninstead of\n${expected.join('\n')}`);
  }
}
