/** What stands in a link for numbers of too many characters. */
export const tooLong = 'too-long';

/** How many characters of numbers a link may have. */
export const longestInLink = 4000;

export const tooLongNote = 'Too long for a link: share the file instead.';

/** Whether numbers are missing in a link with these parameters. */
export function lacksNumbers(parameters: URLSearchParams): boolean {
  return [...parameters.values()].includes(tooLong);
}

interface Kept<S> {
  readonly query: string;
  readonly state: S;
}

/**
 * The last state of a panel with the query of its link, and the last one that its link is too short for: the page itself can still return to it, by
 * Forward as well.
 */
export class LastState<S> {
  #last: Kept<S> | null = null;
  #lastTooLong: Kept<S> | null = null;

  keep(state: S, parameters: URLSearchParams): void {
    this.#last = { state, query: parameters.toString() };
    if (lacksNumbers(parameters)) this.#lastTooLong = this.#last;
  }

  /** The state whose link has these parameters, if it is one of these. */
  of(parameters: URLSearchParams): S | null {
    const query = parameters.toString();
    return [this.#last, this.#lastTooLong].find((kept) => kept?.query === query)?.state ?? null;
  }
}
