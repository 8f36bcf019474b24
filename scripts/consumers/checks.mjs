// Runs checks one after another, prints what came of each, and remembers those that failed.

export function createChecks() {
  const failures = [];
  return {
    failures,
    /** Runs a check. Returns what a table shows of it; the error is printed. */
    async check(what, run) {
      try {
        const shown = await run();
        console.log(`  ${what}: ${shown}`);
        return { ok: true, shown };
      } catch (error) {
        failures.push(what);
        console.error(`  ${what}: FAILED\n${error.message.replaceAll(/^/gm, '    ')}`);
        return { ok: false };
      }
    },
  };
}
