import { type Backend, crossEntropy, type FloatDType, tensor } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly } from '../case.js';
import { assertSame } from '../check.js';
import { logits } from '../inputs.js';
import { owning } from '../owning.js';

/** Label smoothing by the number of classes. Few cases, because each needs a kernel of its own, which some engines take seconds to compile. */
const smoothings: Readonly<Record<number, number>> = { 2: 0, 3: 0.1, 10: 0, 17: 0.1, 130: 0, 1100: 0.1 };

/** The loss has the same bits with and without the gradient, and the gradient has the same bits with and without the loss. */
export const oneLoss: readonly ConformanceCase[] = (['float32', 'float64'] as const).map((dtype) =>
  defineCase(`cross-entropy/one-loss${dtypeOnly(dtype)}`, { dtype, kernel: null, classes: 1100 }, async (backend) => {
    for (const [classes, labelSmoothing] of Object.entries(smoothings)) {
      await checkLoss(backend, dtype, Number(classes), labelSmoothing);
    }
  }),
);

async function checkLoss(backend: Backend, dtype: FloatDType, classes: number, labelSmoothing: number): Promise<void> {
  const shape = [9, classes];
  const target = Array.from({ length: 9 }, (_, row) => (row * 5) % classes);
  const options = { labelSmoothing, reduction: 'none' } as const;
  await owning(async (own) => {
    const x = own(tensor(logits('spread', shape, 1, dtype), { shape, dtype, backend }));
    const both = crossEntropy(x, target, options);
    const loss = await own(both.loss).data();
    const gradient = await own(both.gradient).data();
    const lossAlone = await own(crossEntropy.loss(x, target, options)).data();
    const gradientAlone = await own(crossEntropy.gradient(x, target, options)).data();
    assertSame(`loss of ${classes} classes, with and without the gradient`, lossAlone, loss);
    assertSame(`gradient of ${classes} classes, with and without the loss`, gradientAlone, gradient);
  });
}
