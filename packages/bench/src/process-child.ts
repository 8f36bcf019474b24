import type { Answer, Request } from './process-messages.js';
import { openRunner, type Runner } from './runner.js';
import { selectContenders } from './selection.js';

// A child process of `runBenchInProcesses`: answers requests until its parent kills it or exits.

let runner: Runner | null = null;

process.on('message', (request: Request) => {
  answerTo(request).then(
    (answer) => send(answer),
    (error: unknown) => send({ type: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit());

async function answerTo(request: Request): Promise<Answer> {
  if (request.type === 'open') {
    if (request.setup !== undefined) await import(request.setup);
    const { backends, peers, composed } = request.contenders;
    runner = await openRunner(selectContenders(backends, peers, composed), { ...request.settings, signal: undefined });
    return { type: 'opened', contenders: runner.contenders, unavailable: runner.unavailable };
  }
  if (runner === null) throw new Error("request 'run' before request 'open'");
  const raw = await runner.run(request.workload, (share, what) => send({ type: 'progress', share, what }));
  return { type: 'done', raw };
}

function send(answer: Answer): void {
  process.send?.(answer);
}
