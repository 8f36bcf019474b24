import type { CaseReport } from '@softgrad/core/conformance';
import type { SuiteProgress } from './suite.js';

/** The maximum number of reasons and failures in a list; a backend that fails everywhere has hundreds. */
const mostListed = 100;

const outcomes = ['passed', 'failed', 'skipped'] as const;

/** As `softgrad conformance` words them. */
const outcomeNames = { passed: 'passed', failed: 'failed', skipped: 'does not apply' } as const;

/** What ran so far, under the name of the backend, because another one may be chosen meanwhile. */
export function Results({ backend, cases }: Pick<SuiteProgress, 'backend' | 'cases'>) {
  const sections = [...new Set(cases.map(({ section }) => section))];
  const failures = cases.filter(({ outcome }) => outcome === 'failed');
  const totals = countOf(cases);
  return (
    <>
      <section class="card" aria-labelledby="outcome-title">
        <h2 id="outcome-title">
          {backend}:{' '}
          <span class={failures.length > 0 ? 'verdict bad' : 'verdict good'}>
            {totals.passed} passed, {totals.failed} failed, {totals.skipped} do not apply
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
      {failures.length > 0 && (
        <section class="card" aria-labelledby="failures-title">
          <h2 id="failures-title">What failed</h2>
          <ul class="failures">
            {failures.slice(0, mostListed).map(({ name, reason }) => (
              <li key={name}>
                <code>{name}</code>
                <span>{reason}</span>
              </li>
            ))}
          </ul>
          {failures.length > mostListed && (
            <p class="caption">… and {failures.length - mostListed} more, in the JSON.</p>
          )}
        </section>
      )}
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

function countOf(cases: readonly CaseReport[]): Readonly<Record<CaseReport['outcome'], number>> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { outcome } of cases) counts[outcome]++;
  return counts;
}
