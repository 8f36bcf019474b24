import { useState } from 'preact/hooks';

interface Props {
  readonly label: string;
  readonly value: number;
  readonly least?: number | undefined;
  readonly most?: number | undefined;
  readonly onChange: (value: number) => void;
}

/** A number input: rounded for display, in full precision while it is edited; an invalid text is an error next to the field. */
export function NumberField({ label, value, least = -1e300, most = 1e300, onChange }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  const problem = draft === null ? null : problemOf(draft, least, most);
  return (
    <span class="number-field">
      <input
        type="text"
        inputMode="decimal"
        spellcheck={false}
        autocomplete="off"
        aria-label={label}
        aria-invalid={problem !== null}
        value={draft ?? shorten(value)}
        onFocus={({ currentTarget }) => {
          const precise = String(value);
          // The longer text replaces the one that the Tab key selected.
          currentTarget.value = precise;
          currentTarget.select();
          setDraft(precise);
        }}
        onInput={(event) => {
          const text = event.currentTarget.value;
          setDraft(text);
          if (problemOf(text, least, most) === null) onChange(Number(text));
        }}
        onBlur={() => setDraft(null)}
      />
      {problem !== null && (
        <span class="field-problem" role="alert">
          {label}: {problem}
        </span>
      )}
    </span>
  );
}

function problemOf(text: string, least: number, most: number): string | null {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return `“${text}” is not a number`;
  if (value < least) return `expected ${least} or more`;
  return value > most ? `expected ${most} or less` : null;
}

function shorten(value: number): string {
  return String(Number(value.toPrecision(5)));
}
