import { expect, test } from 'vitest';
import { explained } from '../src/explained.js';

test.each([
  ["Node's", "Cannot find package '@softgrad/backend-tfjs' imported from /app/index.js"],
  ["a bundler's", 'Failed to resolve "@softgrad/backend-tfjs"'],
  [
    "Yarn's",
    "softgrad tried to access @softgrad/backend-tfjs (a peer dependency) but it isn't provided by your application.\n\nRequired package: @softgrad/backend-tfjs\nRequired by: softgrad@virtual:1 (via /home/me/.yarn/)",
  ],
])('%s error of a package that is not installed becomes the install command', (_whose, text) => {
  const cause = new Error(text);
  const error = explained(cause, '@softgrad/backend-tfjs');
  const message = 'it is not installed: npm install @softgrad/backend-tfjs, or its tarball if softgrad came from one';
  expect(error).toEqual(new Error(message, { cause }));
  expect(error).toHaveProperty('cause', cause);
});

test('what is thrown may be no Error', () => {
  const error = explained("no module '@softgrad/backend-tfjs'", '@softgrad/backend-tfjs');
  expect(error).toHaveProperty(
    'message',
    expect.stringMatching(/^it is not installed: npm install @softgrad\/backend-tfjs, /),
  );
});

test.each([
  "Cannot find package '@tensorflow/tfjs-core' imported from @softgrad/backend-tfjs",
  'Failed to resolve "@tensorflow/tfjs-core"',
  "@softgrad/backend-tfjs tried to access @tensorflow/tfjs-core, but it isn't provided.\n\nRequired package: @tensorflow/tfjs-core\nRequired by: @softgrad/backend-tfjs@virtual:1",
])('the error of another package stays as it is: %s', (message) => {
  const cause = new Error(message);
  expect(explained(cause, '@softgrad/backend-tfjs')).toBe(cause);
});
