import { logSoftmax, tensor } from '@softgrad/core';
import { testCommonConstant } from '../../../common-constant.shared.js';
import { tfjs } from '../src/index.js';

testCommonConstant(['float32'], async ({ logits, tangent, shape, axis, dtype }) => {
  const backend = await tfjs.open({ engine: 'cpu' });
  const [x, t] = [logits, tangent].map((values) => tensor(values, { shape, dtype, backend }));
  return logSoftmax.jvp(logSoftmax(x, { axis }), t, { axis }).data();
});
