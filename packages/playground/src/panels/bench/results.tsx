import { describeColumns, resultTable } from '@softgrad/bench';
import { useMemo } from 'preact/hooks';
import { Chart, type Charts, Legend, useCharts } from './chart.js';
import type { Looks } from './charts.js';
import { contendersOf, deviceRatios, type Mode, type NamedReport, speedUps, timePoints } from './series.js';

interface Props {
  readonly reports: readonly NamedReport[];
  readonly mode: Mode;
}

export function Results({ reports, mode }: Props) {
  const points = useMemo(() => timePoints(reports, mode), [reports, mode]);
  const charts = useCharts();
  const looks = useMemo(() => charts?.looksOf(contendersOf(points)) ?? null, [charts, points]);
  const ops = [...new Set(points.map(({ op }) => op))];
  const [first, second] = reports;
  const drawn = charts !== null && looks !== null ? { charts, looks, mode } : null;
  return (
    <>
      <section class="card" aria-labelledby="times-title">
        <h2 id="times-title">Time against size</h2>
        {drawn && (
          <>
            <Legend {...drawn} dashed={second !== undefined} />
            <div class="charts">
              {ops.map((op) => (
                <OpChart key={op} op={op} points={points} {...drawn} />
              ))}
            </div>
          </>
        )}
        <p class="caption">Medians of the rounds, with first and third quartile. Both axes are logarithmic.</p>
      </section>
      {drawn && first && second && <DeviceRatios a={first} b={second} {...drawn} />}
      {drawn &&
        reports.map((named) => <SpeedUps key={named.letter} named={named} several={second !== undefined} {...drawn} />)}
      {reports.map((named) => (
        <Numbers key={named.letter} named={named} several={second !== undefined} />
      ))}
    </>
  );
}

interface Drawing {
  readonly charts: Charts;
  readonly looks: Looks;
}

interface ChartProps extends Drawing {
  readonly mode: Mode;
}

interface OpChartProps extends Drawing {
  readonly op: string;
  readonly points: ReturnType<typeof timePoints>;
}

function OpChart({ op, points, charts, looks }: OpChartProps) {
  const draw = useMemo(() => {
    const own = points.filter((point) => point.op === op);
    return (width: number) => charts.timeChart(own, looks, width);
  }, [op, points, charts, looks]);
  return (
    <figure>
      <figcaption>{op}</figcaption>
      <Chart draw={draw} />
    </figure>
  );
}

function SpeedUps({
  named,
  several,
  mode,
  ...drawing
}: ChartProps & { readonly named: NamedReport; readonly several: boolean }) {
  const ratios = useMemo(() => speedUps(named, mode), [named, mode]);
  if (ratios.length === 0) return null;
  const baseline = named.report.workloads.find((result) => result.baseline !== null)?.baseline ?? '';
  const id = `speed-ups-${named.letter}`;
  return (
    <section class="card" aria-labelledby={id}>
      <h2 id={id}>
        {several && <span class="letter">{named.letter}</span>} Speed against {baseline}
      </h2>
      <RatioChart points={ratios} {...drawing} label={`times as fast as ${baseline}`} />
      <p class="caption">
        With 95 % bootstrap intervals of the rounds’ ratios. A hollow point may be no difference: its interval contains
        1, or the baseline, timed twice, differs from itself as much.
      </p>
    </section>
  );
}

function DeviceRatios({ a, b, mode, ...drawing }: ChartProps & { readonly a: NamedReport; readonly b: NamedReport }) {
  const ratios = useMemo(() => deviceRatios(a, b, mode), [a, b, mode]);
  return (
    <section class="card" aria-labelledby="devices-title">
      <h2 id="devices-title">A against B</h2>
      {ratios.length === 0 ? (
        <p class="caption">The two runs have no workload and contender in common.</p>
      ) : (
        <>
          <RatioChart points={ratios} {...drawing} label="times as fast in A as in B" />
          <p class="caption">
            Intervals are what the quartiles of both runs allow. A hollow point may be no difference: its interval
            contains 1.
          </p>
        </>
      )}
    </section>
  );
}

interface RatioChartProps extends Drawing {
  readonly points: ReturnType<typeof speedUps>;
  readonly label: string;
}

function RatioChart({ points, charts, looks, label }: RatioChartProps) {
  const draw = useMemo(
    () => (width: number) => charts.ratioChart(points, looks, width, label),
    [points, charts, looks, label],
  );
  return <Chart draw={draw} />;
}

/** The numbers behind the charts, and the contenders that could not take part. */
function Numbers({ named: { letter, report }, several }: { readonly named: NamedReport; readonly several: boolean }) {
  const { contenders, unavailable } = report;
  return (
    <section class="card" aria-label={`Numbers of ${letter}`}>
      <details>
        <summary>{several ? `Numbers of ${letter}` : 'All numbers'}</summary>
        {report.workloads.map(resultTable).map(({ title, head, rows, notes }) => (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a horizontally scrolling element must be reachable by keyboard
          <section key={title} class="numbers" tabIndex={0} aria-label={title}>
            <table>
              <caption>{title}</caption>
              <thead>
                <tr>
                  {head.map((cell) => (
                    <th key={cell} scope="col">
                      {cell || 'contender'}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map(([name, ...cells]) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    {cells.map((cell, k) => (
                      <td key={head[k + 1]}>{cell}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
            {notes.map((note) => (
              <p key={note} class="caption">
                {note}
              </p>
            ))}
          </section>
        ))}
        <ul class="columns caption">
          {describeColumns(report).map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      </details>
      <ul class="participants">
        {contenders.map(({ name, description }) => (
          <li key={name}>
            <b>{name}</b> {description}
          </li>
        ))}
        {unavailable.map(({ name, reason }) => (
          <li key={name} class="quiet">
            <b>{name}</b> not run: {reason}
          </li>
        ))}
      </ul>
    </section>
  );
}
