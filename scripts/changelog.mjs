/**
 * The change log with a new section for a version, above the earlier ones, that has an item for each changeset. The items under a heading
 * "(unreleased)" become part of this version.
 */
export function withRelease(log, version, date, changesets) {
  const items = changesets.map(({ summary }) => `- ${summary.trim().replaceAll('\n', '\n  ')}\n`).join('');
  const unreleased = /^## \S+ \(unreleased\)\n\n/m.exec(log);
  const heading = `## ${version} (${date})\n\n`;
  if (unreleased) return log.replace(unreleased[0], () => `${heading}${items}`);
  const first = log.search(/^## /m);
  if (first < 0) return `${log.trimEnd()}\n\n${heading}${items}`;
  return `${log.slice(0, first)}${heading}${items}\n${log.slice(first)}`;
}

/** The version that follows `current`, by the largest of the changes. */
export function nextVersion(current, types) {
  const [major, minor, patch] = current.split('.').map(Number);
  if (types.includes('major')) return `${major + 1}.0.0`;
  return types.includes('minor') ? `${major}.${minor + 1}.0` : `${major}.${minor}.${patch + 1}`;
}
