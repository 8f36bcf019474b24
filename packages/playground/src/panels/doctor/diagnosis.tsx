import type { Diagnosis } from '@softgrad/doctor';
import { WithSubscripts } from '../../components/with-subscripts.js';

/** The verdicts that are not the name of a mistake. */
const verdicts: Readonly<Record<string, string>> = {
  right: 'right',
  saturated: 'saturated softmax',
  underflow: 'underflow',
  ambiguous: 'several explanations fit',
  unknown: 'no known mistake',
};

/** The three parts: what the numbers are, why, and what to write instead. */
export function DiagnosisCard({ diagnosis }: { readonly diagnosis: Diagnosis }) {
  const { verdict, what, why, instead, evidence, matches, text } = diagnosis;
  const good = verdict === 'right';
  return (
    <section class="card diagnosis" aria-labelledby="diagnosis-title">
      <p class={good ? 'verdict-tag good' : 'verdict-tag'}>{verdicts[verdict] ?? matches[0]?.name ?? verdict}</p>
      <h2 id="diagnosis-title">What your numbers are</h2>
      <p class="what">
        <WithSubscripts text={what} />
      </p>
      {evidence.notes.length > 0 && (
        <ul class="notes">
          {evidence.notes.map((note) => (
            <li key={note}>
              <WithSubscripts text={note} />
            </li>
          ))}
        </ul>
      )}
      <h2>Why</h2>
      <p>
        <WithSubscripts text={why} />
      </p>
      <h2>{headingsOf(text).at(-1)}</h2>
      <dl class="remedy">
        <dt>TypeScript</dt>
        <dd>
          <pre>{instead.typescript}</pre>
        </dd>
        <dt>NumPy</dt>
        <dd>
          <pre>{instead.numpy}</pre>
        </dd>
      </dl>
    </section>
  );
}

/** The headings in a diagnosis's text, whose other lines are indented. The last one says what the code is for. */
function headingsOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => /^\S/.test(line));
}
