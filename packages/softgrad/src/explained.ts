const requiredPackage = /^Required package: (\S+)/m;

/** Replaces the error of a package that is not installed by one with the install command; returns other errors unchanged. */
export function explained(cause: unknown, packageName: string): unknown {
  const text = cause instanceof Error ? cause.message : String(cause);
  // Node, browsers and bundlers quote the name of a missing package; Yarn's Plug'n'Play has a line for it.
  const forms = [`'${packageName}'`, `"${packageName}"`];
  const isMissing = forms.some((form) => text.includes(form)) || requiredPackage.exec(text)?.[1] === packageName;
  if (!isMissing) return cause;
  return new Error(`it is not installed: npm install ${packageName}, or its tarball if softgrad came from one`, {
    cause,
  });
}
