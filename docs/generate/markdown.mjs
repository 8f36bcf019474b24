const line = (cells) => `| ${cells.join(' | ')} |`;

/** A table as Markdown. */
export function table(head, rows) {
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The page with `content` between the marks `<!-- NAME: begin -->` and `<!-- NAME: end -->`; `file` and `what` are for the error. */
export function withBetween(page, name, content, file, what) {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table of ${what}`);
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}
