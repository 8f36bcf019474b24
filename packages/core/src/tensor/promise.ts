/**
 * Marks the rejection of a promise that is refused as handled. It rejects after the error that refuses it, most often because its tensors were
 * disposed, and in Node an unhandled rejection would end the program.
 */
export function ignoreRejection(value: object): void {
  // Another realm's promises too. The `then` of other objects may start work, such as a query.
  if (tagOf(value) === 'Promise') (value as Promise<unknown>).then(undefined, () => {});
}

export function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}
