import { expect, test } from 'vitest';
import { createSharing, sharedFrom, wokenFrom } from '../src/sharing.js';

function sharing() {
  const state = { asleep: true, time: 100 };
  const { isWorth, ended } = createSharing(
    () => state.asleep,
    () => state.time,
  );
  return { state, isWorth, ended };
}

test('a job is shared while the other threads are awake', () => {
  const { state, isWorth } = sharing();
  state.asleep = false;
  expect(isWorth(sharedFrom)).toBe(true);
});

test('a single job is shared with threads that are asleep only if it takes longer than waking them', () => {
  const { isWorth } = sharing();
  expect(isWorth(sharedFrom)).toBe(false);
  expect(isWorth(wokenFrom - 1)).toBe(false);
  expect(isWorth(wokenFrom)).toBe(true);
});

test('a job that follows another at once wakes the other threads, one that follows later does not', () => {
  const { state, isWorth, ended } = sharing();
  expect(isWorth(sharedFrom)).toBe(false);
  state.time = 101;
  ended();
  state.time = 101.49;
  expect(isWorth(sharedFrom)).toBe(true);
  state.time = 101.5;
  expect(isWorth(sharedFrom)).toBe(false);
});
