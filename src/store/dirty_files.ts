// Which descriptors the next sync must cover, which the running one covers, and those whose owners are done with them
// before their sync is. Owns no file.

/** Descriptors that only wait for a sync: so many get one at once, before there are none left to open. */
const UNCLOSED_MAX = 512;

/** A descriptor whose owner is done with it and that a sync still needs. */
interface Unclosed {
  readonly fd: number;
  readonly close: () => void;
}

const NO_FDS: readonly number[] = [];

export class DirtyFiles {
  readonly #dirty = new Set<number>();
  readonly #lazy = new Set<number>();
  #inFlight = NO_FDS;
  #unclosed: Unclosed[] = [];

  /** Some have bytes that somebody may wait for. */
  get some(): boolean {
    return this.#dirty.size > 0;
  }

  /** Some have bytes that nobody waits for. */
  get someLazy(): boolean {
    return this.#lazy.size > 0;
  }

  get any(): boolean {
    return this.#dirty.size > 0 || this.#lazy.size > 0;
  }

  /** So many wait to be closed that a sync should not be waited for. */
  get crowded(): boolean {
    return this.#unclosed.length >= UNCLOSED_MAX;
  }

  /** Hot. */
  add(fd: number): void {
    this.#dirty.add(fd);
  }

  /** Hot. */
  addLazy(fd: number): void {
    this.#lazy.add(fd);
  }

  /** What a sync that begins now covers, lazy ones too. */
  take(): readonly number[] {
    const fds = [...this.#dirty];
    for (const fd of this.#lazy) if (!this.#dirty.has(fd)) fds.push(fd);
    this.#dirty.clear();
    this.#lazy.clear();
    return this.#inFlight = fds;
  }

  /** The sync is done. */
  landed(): void {
    this.#inFlight = NO_FDS;
  }

  /** False when a sync needs the descriptor still: it is closed later. `forget`: what is dirty in it is of no use. */
  release(fd: number, forget: boolean, close: () => void): boolean {
    if (forget) {
      this.#dirty.delete(fd);
      this.#lazy.delete(fd);
    }
    if (!this.#needs(fd)) {
      close();
      return true;
    }
    this.#unclosed.push({ fd, close });
    return false;
  }

  /** Closes those that no sync needs any more. */
  close(): void {
    if (this.#unclosed.length === 0) return;
    const before = this.#unclosed;
    this.#unclosed = before.filter(({ fd }) => this.#needs(fd));
    for (const file of before) if (!this.#unclosed.includes(file)) file.close();
  }

  #needs(fd: number): boolean {
    return this.#dirty.has(fd) || this.#lazy.has(fd) || this.#inFlight.includes(fd);
  }
}
