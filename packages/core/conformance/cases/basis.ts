import { type ConformanceCase, floatDTypes } from '../case.js';
import { elementwiseCases } from './primitives/elementwise.js';
import { inPlaceCase } from './primitives/in-place.js';
import { reductionCases } from './primitives/reduction.js';
import { selectionCases } from './primitives/selection.js';
import { transpositionCases } from './primitives/transposition.js';

/** The five primitives of a basis, for each float dtype of the backend. */
export const basis: readonly ConformanceCase[] = floatDTypes.flatMap((dtype) => [
  ...elementwiseCases(dtype),
  ...reductionCases(dtype),
  ...selectionCases(dtype),
  ...transpositionCases(dtype),
  inPlaceCase(dtype),
]);
