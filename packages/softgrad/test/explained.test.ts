import { expect, test } from 'vitest';
import { explained } from '../src/explained.js';

test.each([
  ["Node's", "Cannot find package '@softgrad/backend-tfjs' imported from /app/index.js"],
  ["a bundler's", 'Failed to resolve "@softgrad/backend-tfjs"'],
])('%s error of a package that is not installed becomes the install command', (_whose, message) => {
  const cause = new Error(message);
  const error = explained(cause, '@softgrad/backend-tfjs');
  expect(error).toEqual(new Error('it is not installed: npm install @softgrad/backend-tfjs', { cause }));
  expect(error).toHaveProperty('cause', cause);
});

test('what is thrown may be no Error', () => {
  const error = explained("no module '@softgrad/backend-tfjs'", '@softgrad/backend-tfjs');
  expect(error).toHaveProperty('message', 'it is not installed: npm install @softgrad/backend-tfjs');
});

test.each([
  "Cannot find package '@tensorflow/tfjs-core' imported from @softgrad/backend-tfjs",
  'Failed to resolve "@tensorflow/tfjs-core"',
])('the error of another package stays as it is: %s', (message) => {
  const cause = new Error(message);
  expect(explained(cause, '@softgrad/backend-tfjs')).toBe(cause);
});
