import { useState } from 'preact/hooks';
import { type NumberRange, numberOf, problemOf } from '../number-range.js';

interface Props extends NumberRange {
  readonly label: string;
  /** Null for an empty field. */
  readonly value: number | null;
  readonly placeholder?: string | undefined;
  /** Why the value in the link was not taken, until the field is edited. */
  readonly problem?: string | null | undefined;
  readonly onChange: (value: number) => void;
  /** Called if the field is emptied. Without it an empty field is an error. */
  readonly onClear?: (() => void) | undefined;
}

/** A number input: rounded for display, in full precision while it is edited; an invalid text is an error next to the field. */
export function NumberField({ label, value, placeholder, problem: given = null, onChange, onClear, ...range }: Props) {
  const [typed, setDraft] = useState<string | null>(null);
  const check = (text: string) => (onClear && text.trim() === '' ? null : problemOf(text, range));
  // The value may change while the field has the focus: the browser's Back undoes what was typed.
  const isReplaced = typed !== null && typed.trim() !== '' && check(typed) === null && numberOf(typed) !== value;
  const draft = isReplaced ? written(value) : typed;
  const problem = draft === null || (given !== null && draft === written(value)) ? given : check(draft);
  return (
    <span class="number-field">
      <input
        type="text"
        inputMode="decimal"
        spellcheck={false}
        autocomplete="off"
        aria-label={label}
        aria-invalid={problem !== null}
        placeholder={placeholder}
        value={draft ?? shorten(value)}
        onFocus={({ currentTarget }) => {
          const precise = written(value);
          // The longer text replaces the one that the Tab key selected.
          currentTarget.value = precise;
          currentTarget.select();
          setDraft(precise);
        }}
        onInput={(event) => {
          const text = event.currentTarget.value;
          setDraft(text);
          if (check(text) !== null) return;
          if (text.trim() === '') onClear?.();
          else onChange(numberOf(text));
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

function written(value: number | null): string {
  if (value === -Infinity) return '-inf';
  return value === null ? '' : String(value);
}

function shorten(value: number | null): string {
  if (value === -Infinity) return '−∞';
  return value === null ? '' : String(Number(value.toPrecision(5)));
}
