// Lengths of time as RabbitMQ's streams spell them: "7D", "12h", "30m".

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  D: 24 * 3_600_000,
  M: 30 * 24 * 3_600_000,
  Y: 365 * 24 * 3_600_000,
};

/** Milliseconds, above 0; null for anything else. */
export function readDurationMs(text: string): number | null {
  const match = /^([0-9]+)([YMDhms])$/.exec(text);
  if (match === null) return null;
  const durationMs = Number(match[1]) * UNITS_MS[match[2]!]!;
  return durationMs > 0 ? durationMs : null;
}
