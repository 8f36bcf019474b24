import { crossEntropy, tensor } from '@softgrad/core';
import { testCommonConstantOfLoss } from '../../../common-constant.shared.js';
import { webgpu } from '../src/index.js';

const backend = await webgpu.open();

testCommonConstantOfLoss(['float32'], async ({ logits, tangent, target, labelSmoothing, shape, axis, dtype }) => {
  const [x, t] = [logits, tangent].map((values) => tensor(values, { shape, dtype, backend }));
  const q = target instanceof Float64Array ? tensor(target, { shape, dtype, backend }) : target;
  return crossEntropy.jvp(x, q, t, { axis, labelSmoothing, reduction: 'none' }).data();
});
