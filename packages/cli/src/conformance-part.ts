import { SoftgradError } from '@softgrad/core';
import type { ConformanceCase } from '@softgrad/core/conformance';

type Case = Pick<ConformanceCase, 'id' | 'section'>;

/**
 * Whether a case belongs to the part of the suite that `--only` names: all cases of a section (`log-softmax`, also spelled as the function,
 * `logSoftmax`), or all with this text in their id.
 *
 * @throws ERR_VALUE for a text that is neither, because a misspelled part would otherwise pass without running anything
 */
export function partOf(texts: readonly string[], cases: readonly Case[]): (one: Case) => boolean {
  const sections = [...new Set(cases.map(({ section }) => section))];
  const tests = texts.map((text) => {
    const named = sections.find((section) => letters(section) === letters(text));
    const test = ({ id, section }: Case) => (named === undefined ? id.includes(text) : section === named);
    if (cases.some(test)) return test;
    throw new SoftgradError(
      'ERR_VALUE',
      `--only ${text}: no case has this in its id; expected a part of an id, as --list prints them, or one of the sections ${sections.join(', ')}`,
    );
  });
  return (one) => tests.some((test) => test(one));
}

function letters(name: string): string {
  return name.toLowerCase().replaceAll('-', '');
}
