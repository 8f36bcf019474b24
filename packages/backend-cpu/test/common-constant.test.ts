import { logSoftmax, tensor } from '@softgrad/core';
import { testCommonConstant } from '../../../common-constant.shared.js';
import { cpu } from '../src/index.js';

testCommonConstant(['float32', 'float64'], async ({ logits, tangent, shape, axis, dtype }) => {
  const backend = await cpu.open();
  const [x, t] = [logits, tangent].map((values) => tensor(values, { shape, dtype, backend }));
  return logSoftmax.jvp(logSoftmax(x, { axis }), t, { axis }).data();
});
