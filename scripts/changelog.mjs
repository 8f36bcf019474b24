const unreleasedHeading = /^## (\S+) \(unreleased\)$(?:\r?\n)?/m;

/** The version whose section has no date yet, as before the first release; undefined if every version was released. */
export function unreleasedVersion(log) {
  return unreleasedHeading.exec(log)?.[1];
}

/**
 * The change log with a section for a version, above the earlier ones, that has an item for each changeset. If the log has a section under a heading
 * "(unreleased)", that becomes the section, and the items are added to it. Lines end as those of the log do.
 */
export function withRelease(log, version, date, changesets) {
  if (log.includes('\r\n'))
    return withRelease(log.replaceAll('\r\n', '\n'), version, date, changesets).replaceAll('\n', '\r\n');
  const items = changesets.map(({ summary }) => `- ${summary.trim().replace(/\r?\n/g, '\n  ')}\n`).join('');
  const heading = `## ${version} (${date})\n`;
  const unreleased = unreleasedHeading.exec(log);
  const start = unreleased ? unreleased.index : log.search(/^## /m);
  const above = start < 0 ? `${log.trimEnd()}\n\n` : log.slice(0, start);
  const below = start < 0 ? '' : log.slice(start);
  if (!unreleased) return `${above}${heading}\n${items}${below && `\n${below}`}`;
  const section = below.slice(unreleased[0].length);
  const end = section.search(/\n## /);
  const earlier = end < 0 ? '' : section.slice(end);
  const own = section.slice(0, section.length - earlier.length).trim();
  return `${above}${heading}\n${own && `${own}\n`}${items}${earlier}`;
}

/** The version that follows `current`, by the largest of the changes. */
export function nextVersion(current, types) {
  const [major, minor, patch] = current.split('.').map(Number);
  if (types.includes('major')) return `${major + 1}.0.0`;
  return types.includes('minor') ? `${major}.${minor + 1}.0` : `${major}.${minor}.${patch + 1}`;
}
