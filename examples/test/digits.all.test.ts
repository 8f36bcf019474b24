import { expect, test } from 'vitest';
import { train } from './digits.js';

test('nine thousand digits are learned to more than 93 %', () => {
  expect(train('--epochs', '8').accuracies.get('fused')?.at(-1)).toBeGreaterThan(93);
});
