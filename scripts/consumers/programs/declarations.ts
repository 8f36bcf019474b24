// Exports without a type of their own, for which TypeScript writes one into a declaration: each name in it has to be exported by softgrad.
import * as everything from 'softgrad';
import { crossEntropy, logSoftmax, logSumExp, relu, sigmoid, softmax, softmin, type Tensor, tensor } from 'softgrad';

export const data = async (x: Tensor) => x.data();
export const dataSync = (x: Tensor) => x.dataSync();
export const view = (x: Tensor) => x.view();
export const array = async (x: Tensor) => x.array();
export const arrayOfRank2 = (x: Tensor<'float32', 2>) => x.arraySync();
export const ofFloats = async (x: Tensor<'float32' | 'float64'>) => (await x.data()).filter((value) => value > 0);
export const mapped = async (x: Tensor) => (await x.data()).map((value) => 2 * value);
export const made = tensor([[1, 2]]);
export const { vjp, jvp, jacobian, hvp, linearize } = softmax;
export const ofSoftmin = { ...softmin };
export const ofLogSoftmax = { ...logSoftmax };
export const ofLogSumExp = { ...logSumExp };
export const ofSigmoid = { ...sigmoid };
export const ofRelu = { ...relu };
export const ofCrossEntropy = { ...crossEntropy };
export const loss = (x: Tensor, target: number[]) => crossEntropy(x, target, { reduction: 'none' });
export const matrices = softmax.jacobian(softmax([[1, 2]]));
export const operator = (x: Tensor) => softmax.linearize(x);
export const sums = (x: Tensor) => logSumExp(x);
export const all = { ...everything };
