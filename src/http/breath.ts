// Long work in slices: whoever walks over many things asks now and then whether others should have their turn.

const SLICE_MS = 2;
/** The clock is looked at once for so many steps. */
const STEPS = 16;

export class Breath {
  #steps = 0;
  #begunMs = performance.now();

  /** Whether it is time to `take` one. Cheap. */
  get due(): boolean {
    if (++this.#steps % STEPS !== 0) return false;
    return performance.now() - this.#begunMs > SLICE_MS;
  }

  /** Lets messages and other requests go first. */
  async take(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#begunMs = performance.now();
  }
}
