import { useEffect, useRef, useState } from 'preact/hooks';
import { lacksNumbers } from '../last-state.js';
import { readView } from '../location.js';

/** How long a confirmation is shown. */
const confirmationMs = 4000;

interface Outcome {
  readonly link: string;
  readonly isCopied: boolean;
  /** Whether the link lacks numbers, which are too long for it. */
  readonly isShort: boolean;
}

/** Copies the link to what the page shows; where the browser refuses the clipboard, the link is shown, selected. */
export function CopyLink() {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (outcome === null) return;
    if (!outcome.isCopied) {
      field.current?.select();
      return;
    }
    const timer = setTimeout(() => setOutcome(null), confirmationMs);
    return () => clearTimeout(timer);
  }, [outcome]);

  const copy = async () => {
    const link = location.href;
    const isShort = lacksNumbers(readView().parameters);
    setOutcome({ link, isShort, isCopied: await write(link) });
  };
  return (
    <div class="copy-link">
      <button type="button" onClick={() => void copy()}>
        <svg viewBox="0 0 16 16" width="15" height="15" aria-hidden="true">
          <path d="M6.5 9.5a3 3 0 0 0 4.3 0l2.4-2.4a3 3 0 0 0-4.3-4.3l-.8.8M9.5 6.5a3 3 0 0 0-4.3 0L2.8 8.9a3 3 0 0 0 4.3 4.3l.8-.8" />
        </svg>
        <span class="copy-link-name">Copy link</span>
      </button>
      <div class={outcome === null ? 'copy-link-outcome' : 'copy-link-outcome shown'}>
        <span role="status">{outcome !== null && textOf(outcome)}</span>
        {outcome?.isCopied === false && (
          <input
            ref={field}
            type="text"
            readOnly
            aria-label="link"
            value={outcome.link}
            onBlur={() => setOutcome(null)}
          />
        )}
      </div>
    </div>
  );
}

function textOf({ isCopied, isShort }: Outcome): string {
  const lack = isShort ? ' It lacks numbers that are too long for a link.' : '';
  return `${isCopied ? 'Link copied.' : 'The browser refused the clipboard: copy the selected link.'}${lack}`;
}

/** True if the text is on the clipboard, which pages have only over HTTPS or from this machine. */
async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
