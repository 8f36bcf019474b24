interface Props {
  readonly done: number;
  /** 0 if it is not known yet. */
  readonly total: number;
  readonly label: string;
}

/** A progress bar that screen readers announce. */
export function Progress({ done, total, label }: Props) {
  return (
    <div class="progress">
      <progress value={total > 0 ? done : undefined} max={total > 0 ? total : undefined} aria-label="Progress" />
      <output>{label}</output>
    </div>
  );
}
