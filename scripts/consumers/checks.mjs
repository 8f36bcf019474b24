// Runs checks one after another, prints their results, and collects the failures.

export function createChecks() {
  const failures = [];
  return {
    failures,
    /** Runs a check and prints an error. Returns the entry for a table. */
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
