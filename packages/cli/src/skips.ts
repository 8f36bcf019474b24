/**
 * Why cases of the conformance suite do not apply to a backend, in a few lines: missing basis and kernels, missing dtypes, other features that
 * it does not announce, and cases for backends without a feature that this one has.
 *
 * @param reasons the suite's own, one for each case
 */
export function summariseSkips(reasons: readonly string[]): string[] {
  const groups = new Map<string, string[]>();
  for (const reason of reasons) {
    const group = groupOf(reason);
    const some = groups.get(group);
    if (some) some.push(reason);
    else groups.set(group, [reason]);
  }
  return [...groups].map(([group, some]) => {
    return `${some.length} ${some.length === 1 ? 'does' : 'do'} not apply: ${phrase(group, some)}`;
  });
}

/** One of 'composed', 'lacks' and 'has', or the reason itself if it belongs to no group. */
function groupOf(reason: string): string {
  if (/^has neither kernels\.\w+ nor a basis$|^has no basis$|^does not announce (basis|kernels)$/.test(reason)) {
    return 'composed';
  }
  if (reason.startsWith('does not announce ')) return 'lacks';
  return /^(has|announces) (?!no |neither )/.test(reason) ? 'has' : reason;
}

function phrase(group: string, reasons: readonly string[]): string {
  switch (group) {
    case 'composed':
      return `it announces ${missing(reasons)}`;
    case 'lacks':
      return `it does not announce ${names(reasons)}`;
    case 'has':
      return `for backends without a feature: it has ${names(reasons)}`;
    default:
      return `it ${group}`;
  }
}

/** What the backend has no basis or no kernels for. */
function missing(reasons: readonly string[]): string {
  const kernels = reasons.includes('does not announce kernels');
  const basis = reasons.some((reason) => reason.endsWith('basis'));
  if (!basis) return 'no fused kernels';
  return kernels ? 'no basis and no fused kernels' : 'no basis, and not every fused kernel';
}

/** The subjects of the reasons without repetition; kernels are named together. */
function names(reasons: readonly string[]): string {
  const about = reasons.map((reason) =>
    reason.replace(/^does not announce |^has (a )?|^announces /, '').replace(/^kernels\.\w+$/, 'fused kernels'),
  );
  return [...new Set(about)].join(', ');
}
