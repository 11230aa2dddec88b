// The broker's time: milliseconds since 1970, as the wall clock had it when the process began, and what has passed since
// by the clock that nobody sets. Whoever sets the wall clock, an hour or ten years, makes no message and no timer old.
// The wall clock counts again at the next start. Stamps on disk are of this time, too.

/** How far ahead of us a stamp may be that is merely rounded, or of a clock that was set a little, milliseconds. */
const AHEAD_MS_MAX = 60_000;

/** Milliseconds since 1970; never goes back. */
export function steadyMs(): number {
  return Math.floor(performance.timeOrigin + performance.now());
}

const STARTED_MS = steadyMs();

/**
 * When what is stamped so began to count. A stamp of the future is of an earlier process, whose wall clock has been set
 * back since: it counts from our start, or it would live for as long as the clock was wrong.
 */
export function arrivalMs(stampMs: number, nowMs: number): number {
  return stampMs <= nowMs + AHEAD_MS_MAX ? stampMs : STARTED_MS;
}

/** Read once per turn, so that stamping a message costs a field access and not a system call. */
export class CoarseClock {
  /** As of the last `refresh`. */
  nowMs: number = steadyMs();

  /** Called at the start of every turn. */
  refresh(): void {
    this.nowMs = steadyMs();
  }
}
