import type { CaseReport } from '@softgrad/core/conformance';
import { useMemo, useState } from 'preact/hooks';
import { counted, countOf, type Outcome, outcomeNames } from './outcomes.js';

/** How many cases are listed before they are asked for: a list of all of them would slow down the page. */
const atOnce = 100;

/** The order of the choices, and of the counts of a section. */
const failedFirst = ['failed', 'passed', 'skipped'] as const;

/** All cases by section, those that failed first. Only open sections are drawn. */
export function Cases({ cases }: { readonly cases: readonly CaseReport[] }) {
  const [chosen, setChosen] = useState<Outcome | 'all' | null>(null);
  const [text, setText] = useState('');
  const counts = countOf(cases);
  // Until somebody chooses, those that failed, if there are any.
  const outcome = chosen ?? (counts.failed > 0 ? 'failed' : 'all');
  const wanted = useMemo(() => cases.filter((each) => isWanted(each, outcome, text)), [cases, outcome, text]);
  const groups = useMemo(() => groupsOf(wanted), [wanted]);
  return (
    <section class="card" aria-labelledby="cases-title">
      <h2 id="cases-title">Cases</h2>
      <div class="case-filter">
        <fieldset class="choice">
          <legend>Shown</legend>
          {['all' as const, ...failedFirst].map((each) => (
            <label key={each}>
              <input type="radio" name="outcome" checked={each === outcome} onChange={() => setChosen(each)} />
              {each === 'all' ? `all ${cases.length}` : `${outcomeNames[each]} ${counts[each]}`}
            </label>
          ))}
        </fieldset>
        <label>
          Name or reason contains{' '}
          <input type="text" spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
      </div>
      <p class="caption" role="status">
        {text !== '' && (wanted.length === 1 ? '1 case' : `${wanted.length} cases`)}
      </p>
      {groups.map(({ section, cases: own, before }) => (
        <Section
          key={section}
          name={section}
          cases={own}
          isOpenAtFirst={before < atOnce && (outcome !== 'all' || text !== '')}
        />
      ))}
    </section>
  );
}

interface SectionProps {
  readonly name: string;
  /** Those that failed come first. */
  readonly cases: readonly CaseReport[];
  /** Whether the section is open unless somebody has closed it. */
  readonly isOpenAtFirst: boolean;
}

function Section({ name, cases, isOpenAtFirst }: SectionProps) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const [isWhole, setWhole] = useState(false);
  const isOpen = chosen ?? isOpenAtFirst;
  const shown = isWhole ? cases : cases.slice(0, atOnce);
  const counts = countOf(cases);
  const present = failedFirst.filter((outcome) => counts[outcome] > 0);
  return (
    <details
      class="section-cases"
      open={isOpen}
      onToggle={({ currentTarget: { open } }) => open !== isOpen && setChosen(open)}
    >
      <summary>
        {name}{' '}
        <span class="quiet">
          {present.map((outcome, k) => (
            <span key={outcome} class={outcome}>
              {k > 0 && ', '}
              {counted(outcome, counts[outcome])}
            </span>
          ))}
        </span>
      </summary>
      {isOpen && (
        <ul class="cases">
          {shown.map(({ name: id, outcome, reason }) => (
            <li key={id} class={outcome}>
              <span class="outcome">{outcomeNames[outcome]}</span> <code>{id}</code>
              {reason !== null && <span class="case-reason">{reason}</span>}
            </li>
          ))}
        </ul>
      )}
      {isOpen && shown.length < cases.length && (
        <button type="button" onClick={() => setWhole(true)}>
          Show all {cases.length} of {name}
        </button>
      )}
    </details>
  );
}

function isWanted({ name, outcome, reason }: CaseReport, chosen: Outcome | 'all', text: string): boolean {
  return (chosen === 'all' || outcome === chosen) && (name.includes(text) || (reason?.includes(text) ?? false));
}

interface Group {
  readonly section: string;
  readonly cases: readonly CaseReport[];
  /** How many cases are listed above it if all sections above it are open. */
  readonly before: number;
}

/** The cases by section: sections and cases that failed come first, and otherwise the order is that of the suite. */
function groupsOf(cases: readonly CaseReport[]): readonly Group[] {
  const sections = new Map<string, CaseReport[]>();
  const failed = cases.filter(({ outcome }) => outcome === 'failed');
  const others = cases.filter(({ outcome }) => outcome !== 'failed');
  for (const each of [...failed, ...others]) {
    const own = sections.get(each.section);
    if (own) own.push(each);
    else sections.set(each.section, [each]);
  }
  let before = 0;
  return [...sections].map(([section, own]) => {
    const group = { section, cases: own, before };
    before += Math.min(own.length, atOnce);
    return group;
  });
}
