/** Replaces the error of a package that is not installed by one with the install command; returns other errors unchanged. */
export function explained(cause: unknown, packageName: string): unknown {
  const text = cause instanceof Error ? cause.message : String(cause);
  // Node, browsers and bundlers all quote the name of a missing package.
  if (!text.includes(`'${packageName}'`) && !text.includes(`"${packageName}"`)) return cause;
  return new Error(`it is not installed: npm install ${packageName}`, { cause });
}
