// A Blob does not accept an array on a SharedArrayBuffer.
import { npyElements, npyHeader, npzBytes } from '@softgrad/formats';
import { softmax } from 'softgrad';

export const blob = new Blob([await softmax([[1, 2, 3]]).data()]);

const s = softmax([[1, 2, 3]]);
const npy = [npyHeader('<f4', s.shape), npyElements(await s.data(), '<f4')];
export const files = [new Blob(npy), new Blob([npzBytes({ x: npy[0] ?? new Uint8Array() })])];
