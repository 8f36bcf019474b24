// What `npm test` says of the tests, from Vitest's reports.
import { readFileSync } from 'node:fs';
import { basename, relative, sep } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/** Vitest's report of a package's tests, or null if they did not run. Seconds are those of tests that run one after another in a process. */
export function readReport({ name, folder, path }) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
  const ends = report.testResults.map(({ endTime }) => endTime);
  const files = report.testResults.map((file) => ({
    name: fileName(folder, file.name),
    seconds: (file.endTime - file.startTime) / 1000,
  }));
  return {
    name,
    seconds: (Math.max(report.startTime, ...ends) - report.startTime) / 1000,
    files: files.toSorted((a, b) => b.seconds - a.seconds),
    tests: report.testResults.flatMap(({ assertionResults }) =>
      assertionResults.map(({ fullName, duration }) => ({
        name: `${name}: ${fullName}`,
        seconds: (duration ?? 0) / 1000,
      })),
    ),
    failures: failuresOf(report).map((failure) => ({ ...failure, name: `${name}: ${failure.name}` })),
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** A file of tests without the folders that all of them are in. */
function fileName(folder, path) {
  const named = relative(folder, path).split(sep);
  return named.filter((part) => part !== 'packages' && part !== 'test').join('/');
}

/** The failed tests, and the files that failed to load, each with the beginning of its first error. */
function failuresOf({ testResults }) {
  return testResults.flatMap((file) => {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed');
    if (failed.length > 0) {
      return failed.map(({ fullName, failureMessages }) => ({
        name: `${basename(file.name)}: ${fullName}`,
        message: beginningOf(failureMessages[0] ?? ''),
      }));
    }
    return file.status === 'failed' ? [{ name: basename(file.name), message: beginningOf(file.message ?? '') }] : [];
  });
}

function beginningOf(message) {
  return stripVTControlCharacters(message).split('\n').slice(0, 12).join('\n').slice(0, 1200);
}
