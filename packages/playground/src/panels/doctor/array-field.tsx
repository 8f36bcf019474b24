import { useRef } from 'preact/hooks';
import { messageOf } from '../../backends.js';
import { Problem } from '../../components/problem.js';
import { onCommandLine, readFile } from '../../files.js';

interface Props {
  readonly label: string;
  readonly hint: string;
  readonly lines: number;
  readonly value: string;
  readonly problem: string | null;
  /** The new text; empty with the reason if a file was refused, because the old text is not the content of that file. */
  readonly onChange: (text: string, refusal: string | null) => void;
}

/** Larger arrays would make the page slow; any of their rows shows the mistake. */
const mostWritten = 20_000;

/** A field for an array to paste, drop or open. */
export function ArrayField({ label, hint, lines, value, problem, onChange }: Props) {
  const chooser = useRef<HTMLInputElement>(null);
  const id = `field-${label}`;
  const take = async (file: File) => {
    try {
      const { data, shape } = await readFile(file);
      if (data.length > mostWritten) throw new Error(tooLarge(file.name, data.length, shape));
      onChange(write(Array.from(data), shape), null);
    } catch (error) {
      onChange('', messageOf(error));
    }
  };
  return (
    <div class="array-field">
      <div class="array-head">
        <label for={id}>{label}</label>
        <span class="quiet">{hint}</span>
        <button type="button" aria-label={`Open a file: ${label}`} onClick={() => chooser.current?.click()}>
          Open …
        </button>
      </div>
      <textarea
        id={id}
        rows={lines}
        spellcheck={false}
        value={value}
        aria-invalid={problem !== null}
        aria-describedby={`${id}-problem`}
        onInput={(event) => onChange(event.currentTarget.value, null)}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          const file = event.dataTransfer?.files[0];
          if (!file) return;
          event.preventDefault();
          void take(file);
        }}
      />
      <input
        ref={chooser}
        type="file"
        hidden
        accept=".json,.csv,.tsv,.txt,.npy,.npz,.safetensors"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = '';
          if (file) void take(file);
        }}
      />
      <Problem id={`${id}-problem`} text={problem} />
    </div>
  );
}

function tooLarge(name: string, numbers: number, shape: readonly number[]): string {
  const rows = Math.floor(mostWritten / (numbers / (shape[0] ?? 1)));
  const part = rows > 0 && shape.length > 1 ? `its first ${rows} rows` : 'a part of it';
  return `${name}: ${numbers} numbers; the page accepts up to ${mostWritten}. Pass ${part}, or ${onCommandLine('softgrad doctor')}`;
}

/** Nested lists as a person would write them. */
function write(data: readonly number[], [length, ...rest]: readonly number[]): string {
  if (length === undefined) return data.map(word).join();
  if (rest.length === 0) return `[${data.map(word).join(', ')}]`;
  const step = data.length / length;
  const parts = Array.from({ length }, (_, k) => write(data.slice(k * step, (k + 1) * step), rest));
  return `[${parts.join(',\n ')}]`;
}

function word(value: number): string {
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}
