/** What stands in a link for numbers of too many characters. */
export const tooLong = 'too-long';

/** How many characters of numbers a link may have. */
export const longestInLink = 4000;

export const tooLongNote = 'Too long for a link: share the file instead.';

/** The last state of a panel with the query of its link, which may be too short for the state: the page itself can still return to it. */
export class LastState<S> {
  #last: { readonly query: string; readonly state: S } | null = null;

  keep(state: S, parameters: URLSearchParams): void {
    this.#last = { state, query: parameters.toString() };
  }

  /** The state whose link has these parameters, if it was the last one. */
  of(parameters: URLSearchParams): S | null {
    return this.#last?.query === parameters.toString() ? this.#last.state : null;
  }
}
