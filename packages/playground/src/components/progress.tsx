interface Props {
  readonly done: number;
  /** 0 where it is not known yet. */
  readonly total: number;
  readonly label: string;
}

/** How far something has come, to see and to hear. */
export function Progress({ done, total, label }: Props) {
  return (
    <div class="progress">
      <progress value={total > 0 ? done : undefined} max={total > 0 ? total : undefined} aria-label="Progress" />
      <output>{label}</output>
    </div>
  );
}
