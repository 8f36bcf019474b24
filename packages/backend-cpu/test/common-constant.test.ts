import { crossEntropy, logSoftmax, softmax, tensor } from '@softgrad/core';
import {
  testCommonConstant,
  testCommonConstantOfLoss,
  testCommonConstantOfVjp,
} from '../../../common-constant.shared.js';
import { cpu } from '../src/index.js';

testCommonConstant(['float32', 'float64'], async ({ logits, tangent, shape, axis, dtype }) => {
  const backend = await cpu.open();
  const [x, t] = [logits, tangent].map((values) => tensor(values, { shape, dtype, backend }));
  return logSoftmax.jvp(logSoftmax(x, { axis }), t, { axis }).data();
});

testCommonConstantOfLoss(
  ['float32', 'float64'],
  async ({ logits, tangent, target, labelSmoothing, shape, axis, dtype }) => {
    const backend = await cpu.open();
    const [x, t] = [logits, tangent].map((values) => tensor(values, { shape, dtype, backend }));
    const q = target instanceof Float64Array ? tensor(target, { shape, dtype, backend }) : target;
    return crossEntropy.jvp(x, q, t, { axis, labelSmoothing, reduction: 'none' }).data();
  },
);

testCommonConstantOfVjp(['float32', 'float64'], async ({ probabilities, cotangent, shape, axis, dtype }) => {
  const backend = await cpu.open();
  const [s, g] = [probabilities, cotangent].map((values) => tensor(values, { shape, dtype, backend }));
  return softmax.vjp(s, g, { axis }).data();
});
