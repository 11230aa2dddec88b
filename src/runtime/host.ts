// Which runtime runs us. The one question that the rest of this folder asks before it loads either twin's files.

/** The runtime below us, or null under anything that is neither. */
export function hostRuntime(): "bun" | "deno" | null {
  if ("Bun" in globalThis) return "bun";
  if ("Deno" in globalThis) return "deno";
  return null;
}
