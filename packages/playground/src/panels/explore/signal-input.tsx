import { useRef, useState } from 'preact/hooks';
import { messageOf } from '../../backends.js';
import { Problem } from '../../components/problem.js';
import { type ExploreState, type Signal, sampleSignal, stateOf } from './state.js';

interface Props {
  readonly signal: Signal;
  readonly onChange: (part: Partial<ExploreState>) => void;
}

/** Longer signals are not shown as text. */
const mostWritten = 2000;

/** A field for a signal to paste, drop or open: JSON, CSV, .npy, .npz or .safetensors. */
export function SignalInput({ signal, onChange }: Props) {
  const [problem, setProblem] = useState<string | null>(null);
  const [draft, setDraft] = useState<string | null>(null);
  const [over, setOver] = useState(false);
  const [source, setSource] = useState<string | null>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const text = useRef<HTMLTextAreaElement>(null);

  const take = async (from: string | null, read: () => Promise<Signal>) => {
    try {
      const { signal, upstream, row } = stateOf(await read());
      onChange({ signal, upstream, row });
      setProblem(null);
      // A text that is being typed stays as it is, although it is read at each key.
      if (document.activeElement !== text.current) setDraft(null);
      setSource(from);
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  // The readers are loaded when there is something to read.
  const takeFile = (file: File) => {
    setDraft(null);
    return take(file.name, async () => (await import('../../files.js')).readMatrixFile(file));
  };
  const takeText = (pasted: string) => {
    setDraft(pasted);
    return take('pasted signal', async () => (await import('../../files.js')).readMatrixText(pasted));
  };
  const shown = source ?? (signal === sampleSignal ? 'sample signal' : 'your signal');

  return (
    <section
      class={over ? 'signal-input over' : 'signal-input'}
      aria-label="Signal input"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const file = event.dataTransfer?.files[0];
        if (file) void takeFile(file);
        else void takeText(event.dataTransfer?.getData('text/plain') ?? '');
      }}
    >
      <div class="signal-actions">
        <span class="quiet">{shown}</span>
        <button type="button" onClick={() => chooser.current?.click()}>
          Open …
        </button>
        {signal !== sampleSignal && (
          <button type="button" onClick={() => void take(null, async () => sampleSignal)}>
            Reset
          </button>
        )}
        <input
          ref={chooser}
          type="file"
          hidden
          accept=".json,.csv,.tsv,.txt,.npy,.npz,.safetensors"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            event.currentTarget.value = '';
            if (file) void takeFile(file);
          }}
        />
      </div>
      <details>
        <summary>Paste or drop: NumPy, JSON, CSV</summary>
        <textarea
          ref={text}
          rows={5}
          spellcheck={false}
          aria-label="Signal as NumPy prints it, JSON or CSV"
          aria-describedby="signal-problem"
          aria-invalid={problem !== null}
          value={draft ?? written(signal)}
          onInput={(event) => void takeText(event.currentTarget.value)}
          onBlur={() => problem === null && setDraft(null)}
        />
      </details>
      <Problem id="signal-problem" text={problem} />
      {problem !== null && <p class="quiet">Still shown: {shown}</p>}
    </section>
  );
}

function written({ rows, classes, values }: Signal): string {
  if (values.length > mostWritten) return '';
  const lines = Array.from({ length: rows }, (_, k) => {
    return `[${Array.from(values.subarray(k * classes, (k + 1) * classes), (x) => String(x)).join(', ')}]`;
  });
  return `[${lines.join(',\n ')}]`;
}
