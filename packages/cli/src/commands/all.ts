import type { Command } from 'commander';
import type { Session } from '../context.js';

interface CommandFile {
  /** The names of the commands that the file has. */
  readonly names: readonly string[];
  load(session: Session): Promise<readonly Command[]>;
}

/** In the order of the help. */
const files: readonly CommandFile[] = [
  {
    names: ['softmax', 'softmin', 'log-softmax', 'log-sum-exp', 'sigmoid', 'relu'],
    load: async (session) => (await import('./values.js')).valueCommands(session),
  },
  { names: ['jacobian'], load: async (session) => [(await import('./jacobian.js')).jacobianCommand(session)] },
  { names: ['vjp'], load: async (session) => [(await import('./vjp.js')).vjpCommand(session)] },
  { names: ['jvp'], load: async (session) => [(await import('./jvp.js')).jvpCommand(session)] },
  { names: ['hvp'], load: async (session) => [(await import('./hvp.js')).hvpCommand(session)] },
  {
    names: ['cross-entropy'],
    load: async (session) => [(await import('./cross-entropy.js')).crossEntropyCommand(session)],
  },
  { names: ['run'], load: async (session) => [(await import('./run.js')).runCommand(session)] },
  { names: ['worker'], load: async (session) => [(await import('./worker.js')).workerCommand(session)] },
  { names: ['backends'], load: async (session) => [(await import('./backends.js')).backendsCommand(session)] },
  { names: ['conformance'], load: async (session) => [(await import('./conformance.js')).conformanceCommand(session)] },
  { names: ['accuracy'], load: async (session) => [(await import('./accuracy.js')).accuracyCommand(session)] },
  { names: ['bench'], load: async (session) => [(await import('./bench.js')).benchCommand(session)] },
  { names: ['demo'], load: async (session) => [(await import('./demo.js')).demoCommand(session)] },
  { names: ['doctor'], load: async (session) => [(await import('./doctor.js')).doctorCommand(session)] },
  { names: ['report'], load: async (session) => [(await import('./report.js')).reportCommand(session)] },
];

/** The command of this name alone, so that a command line loads no other file; all of them if it is no command's, as for the help. */
export async function commandsNamed(name: string | undefined, session: Session): Promise<readonly Command[]> {
  const file = files.find(({ names }) => names.some((known) => known === name));
  const loaded = await Promise.all((file ? [file] : files).map(({ load }) => load(session)));
  const commands = loaded.flat();
  return file ? commands.filter((command) => command.name() === name) : commands;
}
