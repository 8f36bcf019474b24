import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const { inOrderOfDependencies, publish, stepsBeforePublishing } = await import(
  new URL('scripts/publish.mjs', root).href
);

const named = (name: string, ...dependencies: readonly string[]) => ({
  manifest: {
    name,
    version: '1.0.0',
    repository: { url: 'git+https://example.org/owner/name.git' },
    dependencies: Object.fromEntries(dependencies.map((dependency) => [dependency, '1.0.0'])),
  },
});
const packages = [named('c', 'b', 'elsewhere'), named('a'), named('b', 'a')];

test('a package is published after those that it depends on', () => {
  const names = inOrderOfDependencies(packages).map((each: (typeof packages)[number]) => each.manifest.name);
  expect(names).toEqual(['a', 'b', 'c']);
});

test('nothing is published before each package.json has the address of the source, each changeset a version, and the version a date', () => {
  const released = '# Changelog\n\n## 1.0.0 (2020-01-01)\n';
  expect(stepsBeforePublishing(packages, [], released)).toEqual([]);
  expect(stepsBeforePublishing(packages, [], '# Changelog\n\n## 1.0.0 (unreleased)\n')).toEqual([
    'CHANGELOG.md says that 1.0.0 is unreleased: npm run release:version writes its date',
  ]);
  const { repository: _, ...manifest } = named('d').manifest;
  expect(stepsBeforePublishing([...packages, { manifest }], ['a.md', 'b.md'], released)).toEqual([
    '2 changesets wait for a version: npm run release:version sets it',
    expect.stringMatching(/^no repository in the package.json of d: .*npm run release:repository -- URL/),
  ]);
});

/** A mock of npm with a registry that has some packages and refuses others. */
function npmOf(published: Set<string>, refused: ReadonlySet<string>) {
  const calls: string[][] = [];
  const npm = (...args: string[]) => {
    calls.push(args);
    const [command, subject = ''] = args;
    if (command === 'view') {
      if (refused.has('view')) return { status: 1, stdout: '', stderr: 'npm error code ECONNREFUSED' };
      // The response for a package that exists without this version is empty.
      if (published.has(subject)) return { status: 0, stdout: '1.0.0\n', stderr: '' };
      return subject.startsWith('a@')
        ? { status: 0, stdout: '', stderr: '' }
        : { status: 1, stdout: '', stderr: 'npm error code E404' };
    }
    const name = subject.replace('.tgz', '');
    if (refused.has(name)) return { status: 1, stdout: '', stderr: 'npm error code E403' };
    published.add(`${name}@1.0.0`);
    return { status: 0, stdout: '', stderr: '' };
  };
  return { npm, calls };
}

const packed = packages.map((each) => ({ ...each, tarball: `${each.manifest.name}.tgz` }));

test('a run that failed continues with the missing packages', () => {
  const published = new Set<string>();
  const lines: string[] = [];
  const report = (line: string) => lines.push(line.trim());
  const first = npmOf(published, new Set(['b']));
  expect(() => publish(packed, { npm: first.npm, report })).toThrow(
    'b@1.0.0 was not published, nor was any package after it; the same command goes on from here:\nnpm error code E403',
  );
  expect([...published]).toEqual(['a@1.0.0']);
  const second = npmOf(published, new Set());
  publish(packed, { npm: second.npm, report });
  expect(lines).toEqual([
    'a@1.0.0 published',
    'a@1.0.0 is published already',
    'b@1.0.0 published',
    'c@1.0.0 published',
  ]);
  expect(second.calls).toContainEqual(['publish', 'c.tgz', '--access', 'public']);
});

test('a registry that does not respond is not treated as one without the package', () => {
  const published = new Set<string>();
  expect(() => publish(packed, { npm: npmOf(published, new Set(['view'])).npm })).toThrow(
    /cannot find out whether the registry has a@1\.0\.0/,
  );
  expect([...published]).toEqual([]);
});
