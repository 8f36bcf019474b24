import { SoftgradError } from '@softgrad/core';
import type { ConformanceCase } from '@softgrad/core/conformance';

type Case = Pick<ConformanceCase, 'id' | 'section'>;

/** A part of the suite. */
export interface Part {
  /** Whether a case belongs to it. */
  has(one: Case): boolean;
  /** For each text that is the name of a section: how many cases of other sections have it in their ids and are not in the part, and how to run them. */
  readonly notices: readonly string[];
}

/**
 * The part of the suite that `--only` names: all cases of a section (`log-softmax`, also spelled as the function, `logSoftmax`), or all with this text
 * in their id; `*vjp*` stands for all with `vjp` in their id, although a section has that name.
 *
 * @throws ERR_VALUE for a text that is neither, because a misspelled part would otherwise pass without running anything
 */
export function partOf(texts: readonly string[], cases: readonly Case[]): Part {
  const sections = [...new Set(cases.map(({ section }) => section))];
  const named = texts.map((text) => ({
    text,
    section: sections.find((section) => letters(section) === letters(text)),
  }));
  const tests = named.map(({ text, section }) => {
    const inId = /^\*(.+)\*$/.exec(text)?.[1] ?? text;
    const test = (one: Case) => (section === undefined ? one.id.includes(inId) : one.section === section);
    if (cases.some(test)) return test;
    throw new SoftgradError(
      'ERR_VALUE',
      `--only ${text}: no case has this in its id; expected a part of an id, as --list prints them, or one of the sections ${sections.join(', ')}`,
    );
  });
  const has = (one: Case) => tests.some((test) => test(one));
  const notices = named.flatMap(({ text, section }) => {
    const more = section === undefined ? 0 : cases.filter((one) => one.id.includes(section) && !has(one)).length;
    if (more === 0) return [];
    const count = `${more.toLocaleString('en')} more case${more === 1 ? ' has' : 's have'}`;
    return [
      `--only ${text} is the section ${section}; ${count} ${section} in the id: --only '*${section}*' runs them, too`,
    ];
  });
  return { has, notices };
}

function letters(name: string): string {
  return name.toLowerCase().replaceAll('-', '');
}
