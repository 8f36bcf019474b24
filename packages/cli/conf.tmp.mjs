import { conformance, reportCase } from '@softgrad/core/conformance';
import { ownBackends } from './dist/backend.js';
import { costOf, shareOfTime, spread } from './dist/conformance-cost.js';

const cpu = () => {
  const u = process.cpuUsage();
  return (u.user + u.system) / 1000;
};
for (const name of process.argv.slice(2)) {
  const p = await ownBackends.load(name);
  const bound = await conformance(p, { required: true });
  const applies = (c) => c.skip === null;
  const total = bound.filter(applies).reduce((s, o) => s + costOf(o), 0);
  const t0 = cpu(),
    w0 = performance.now();
  let done = 0;
  const rows = [];
  for (const c of spread(bound)) {
    await reportCase(c);
    if (applies(c)) {
      done += costOf(c);
      rows.push([cpu() - t0, performance.now() - w0, shareOfTime(done / total)]);
    }
  }
  const marks = [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9];
  for (const [k, w] of [
    [0, 'cpu'],
    [1, 'wall'],
  ]) {
    const all = rows.at(-1)[k];
    console.log(
      name,
      w,
      (all / 1000).toFixed(1),
      's',
      marks
        .map((m) => {
          const r = rows.find((r) => r[k] >= m * all);
          return `${m}: ${((r[k] * (1 / r[2] - 1)) / (all - r[k])).toFixed(2)}`;
        })
        .join('  '),
    );
  }
}
