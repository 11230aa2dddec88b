// A coarse wall clock: read once per turn, so that stamping a message costs a field access and not a system call.

export class CoarseClock {
  /** Milliseconds since 1970, as of the last `refresh`. */
  nowMs: number = Date.now();

  /** Called at the start of every turn. */
  refresh(): void {
    this.nowMs = Date.now();
  }
}
