// The source maps of a tarball, whose sources have to be in it, too: otherwise debuggers and bundlers warn about missing files.
import { posix } from 'node:path';

/** A line for each source of a map that the package does not contain. `files` are the paths in the package, `read` gives the text of one. */
export function missingSources(files, read) {
  const contained = new Set(files);
  return files
    .filter((file) => file.endsWith('.map'))
    .flatMap((file) => {
      const { sources, sourceRoot = '', sourcesContent } = JSON.parse(read(file));
      return sources
        .filter((_, k) => typeof sourcesContent?.[k] !== 'string')
        .filter((source) => !contained.has(posix.join(posix.dirname(file), sourceRoot, source)))
        .map((source) => `${file} points to ${source}, which the package does not contain`);
    });
}
