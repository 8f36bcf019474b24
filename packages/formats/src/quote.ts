/** Text of unknown origin for a one-line message: quoted, escaped and shortened. */
export function quote(text: string): string {
  const escaped = JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
  // JSON does not escape DEL, C1 controls and line separators, which can control a terminal.
  return escaped.replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
