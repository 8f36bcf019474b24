// Whether the results of `programs/compute.mjs` are right.

/** @throws unless cpu and wasm compute */
export function computed({ error, onCpu, onWasm, right, device }) {
  const half = 'Tensor (1, 2) float32 on';
  if (error) throw new Error(error);
  if (onCpu !== `${half} cpu [[0.5, 0.5]]`) throw new Error(`cpu gives ${onCpu}`);
  if (onWasm !== `${half} wasm [[0.5, 0.5]]`) throw new Error(`wasm gives ${onWasm}`);
  if (!right) throw new Error(`softmax of equal logits is wrong on ${device}`);
  return 'computes';
}

/** @throws unless the device has this number of threads */
export function threadsOf({ device }, expected = '2 threads') {
  if (!device.includes(expected)) throw new Error(`two threads were asked for; the device is ${device}`);
  return expected;
}
