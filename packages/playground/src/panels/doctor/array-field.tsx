import { useRef, useState } from 'preact/hooks';
import { messageOf } from '../../backends.js';
import { Problem } from '../../components/problem.js';
import { readFile } from '../../files.js';

interface Props {
  readonly label: string;
  readonly hint: string;
  readonly lines: number;
  readonly value: string;
  readonly problem: string | null;
  readonly onChange: (text: string) => void;
}

/** Larger arrays would make the page slow; a mistake shows in any of their rows. */
const mostWritten = 20_000;

/** An array to paste, drop or open. */
export function ArrayField({ label, hint, lines, value, problem, onChange }: Props) {
  const [fileProblem, setFileProblem] = useState<string | null>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const id = `field-${label}`;
  const shown = fileProblem ?? problem;
  const take = async (file: File) => {
    try {
      const { data, shape } = await readFile(file);
      if (data.length > mostWritten) throw new Error(`${file.name}: ${data.length} numbers; give up to ${mostWritten}`);
      setFileProblem(null);
      onChange(write(Array.from(data), shape));
    } catch (error) {
      setFileProblem(messageOf(error));
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
        aria-invalid={shown !== null}
        aria-describedby={`${id}-problem`}
        onInput={(event) => {
          setFileProblem(null);
          onChange(event.currentTarget.value);
        }}
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
        accept=".json,.csv,.tsv,.txt,.npy,.npz"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = '';
          if (file) void take(file);
        }}
      />
      <Problem id={`${id}-problem`} text={shown} />
    </div>
  );
}

/** Nested lists as the reader would write them. */
function write(data: readonly number[], shape: readonly number[]): string {
  if (shape.length === 0) return word(data[0]);
  if (shape.length === 1) return `[${data.map(word).join(', ')}]`;
  const step = data.length / shape[0];
  const parts = Array.from({ length: shape[0] }, (_, k) => write(data.slice(k * step, (k + 1) * step), shape.slice(1)));
  return `[${parts.join(',\n ')}]`;
}

function word(value: number): string {
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}
