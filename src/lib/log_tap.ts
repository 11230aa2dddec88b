// Log lines for those who look on: the last ones are kept, new ones handed to whoever listens.

const KEPT_MAX = 1_000;

export interface LogLine {
  readonly timeMs: number;
  readonly level: string;
  readonly category: string;
  readonly text: string;
}

export class LogTap {
  readonly #kept: LogLine[] = [];
  readonly #listeners = new Set<(line: LogLine) => void>();

  write(line: LogLine): void {
    this.#kept.push(line);
    if (this.#kept.length > KEPT_MAX) this.#kept.splice(0, KEPT_MAX / 10);
    for (const listener of this.#listeners) listener(line);
  }

  /** The last lines, oldest first. */
  get last(): readonly LogLine[] {
    return this.#kept;
  }

  /** Returns what ends it. */
  listen(listener: (line: LogLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
