// A Blob does not accept an array on a SharedArrayBuffer.
import { softmax } from 'softgrad';

export const blob = new Blob([await softmax([[1, 2, 3]]).data()]);
