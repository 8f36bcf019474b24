import type { CaseReport } from '@softgrad/core/conformance';
import { Cases } from './cases.js';
import { counted, countOf, outcomeNames, outcomes } from './outcomes.js';
import type { SuiteProgress } from './suite.js';

/** The maximum number of reasons in a list. */
const mostListed = 100;

/** What ran so far, under the name of the backend, because another one may be chosen meanwhile. */
export function Results({ backend, cases }: Pick<SuiteProgress, 'backend' | 'cases'>) {
  const sections = [...new Set(cases.map(({ section }) => section))];
  const totals = countOf(cases);
  return (
    <>
      <section class="card" aria-labelledby="outcome-title">
        <h2 id="outcome-title">
          {backend}:{' '}
          <span class={totals.failed > 0 ? 'verdict bad' : 'verdict good'}>
            {outcomes.map((outcome) => counted(outcome, totals[outcome])).join(', ')}
          </span>
        </h2>
        <table class="sections">
          <thead>
            <tr>
              <th scope="col">section</th>
              <td class="share-head" />
              {outcomes.map((outcome) => (
                <th key={outcome} scope="col">
                  {outcomeNames[outcome]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sections.map((section) => {
              const own = cases.filter((c) => c.section === section);
              const counts = countOf(own);
              return (
                <tr key={section}>
                  <th scope="row">{section}</th>
                  <td class="share-cell">
                    <span class="shares" aria-hidden="true">
                      {outcomes.map((outcome) => (
                        <span
                          key={outcome}
                          class={`share ${outcome}`}
                          style={{ width: `${(100 * counts[outcome]) / own.length}%` }}
                        />
                      ))}
                    </span>
                  </td>
                  {outcomes.map((outcome) => (
                    <td key={outcome} class={counts[outcome] > 0 ? outcome : 'none'}>
                      {counts[outcome]}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
      <Cases cases={cases} />
      <Skips cases={cases} />
    </>
  );
}

/** Why cases do not apply here, without repetition. */
function Skips({ cases }: { readonly cases: readonly CaseReport[] }) {
  const reasons = new Map<string, number>();
  for (const { outcome, reason } of cases) {
    if (outcome === 'skipped' && reason !== null) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  if (reasons.size === 0) return null;
  return (
    <section class="card" aria-labelledby="skips-title">
      <h2 id="skips-title">What does not apply, because this backend …</h2>
      <ul class="skips">
        {[...reasons].slice(0, mostListed).map(([reason, times]) => (
          <li key={reason}>
            <b>{times}</b> {reason}
          </li>
        ))}
      </ul>
    </section>
  );
}
