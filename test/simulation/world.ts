// Time and the event loop of a simulated run. While a run lasts, the globals that tell the time, wait, or draw random
// numbers are ours: nothing in it happens but by `step`, and what happens next is drawn from the seed. The real promises
// that src/ uses (a spare segment, start, stop) are given their turn by `settle`.

import { Random } from "./random.ts";
import { Trace } from "./trace.ts";

const START_MS = 1_800_000_000_000;
/** Promise jobs that follow one another from one event; more than any chain in src/ has. */
const PROMISE_ROUNDS = 12;

interface Task {
  readonly run: () => void;
  dueMs: number;
  /** Above 0: again and again. */
  readonly everyMs: number;
  live: boolean;
}

export class World {
  readonly random: Random;
  readonly trace: Trace;
  /** What the broker draws itself. A runtime may take more of it than another: nothing else depends on it. */
  readonly #entropy: Random;
  /** Milliseconds since the run began. */
  nowMs = 0;
  /** Something may have settled a real promise: `settle` is due. */
  promised = false;
  /** What a callback threw that nobody caught. */
  uncaught: unknown = null;
  #timers: Task[] = [];
  #immediates: Task[] = [];
  #microtasks: (() => void)[] = [];

  constructor(random: Random) {
    this.random = random;
    this.#entropy = new Random(random.u32());
    this.trace = new Trace(() => this.nowMs);
  }

  after(delayMs: number, run: () => void, everyMs = 0): Task {
    const dueMs = this.nowMs + Math.max(0, Number.isFinite(delayMs) ? delayMs : 0);
    const task: Task = { run, dueMs, everyMs, live: true };
    this.#insert(task);
    return task;
  }

  soon(run: () => void): Task {
    const task: Task = { run, dueMs: 0, everyMs: 0, live: true };
    this.#immediates.push(task);
    return task;
  }

  cancel(task: Task | undefined | null): void {
    if (task === undefined || task === null) return;
    task.live = false;
  }

  /** The process is gone, and with it all that it wanted to do. */
  clear(): void {
    for (const task of [...this.#timers, ...this.#immediates]) task.live = false;
    this.#timers = [];
    this.#immediates = [];
    this.#microtasks = [];
  }

  /** How long nothing will happen, milliseconds. */
  get idleMs(): number {
    if (this.#immediates.length > 0 || this.#microtasks.length > 0) return 0;
    const timer = this.#timers[0];
    return timer === undefined ? Infinity : Math.max(0, timer.dueMs - this.nowMs);
  }

  /** Lets one thing happen; false when nothing is left to happen. */
  step(): boolean {
    this.#runMicrotasks();
    const task = this.#next();
    if (task === null) return false;
    if (task.live) {
      task.live = task.everyMs > 0;
      if (task.live) {
        task.dueMs = this.nowMs + task.everyMs;
        this.#insert(task);
      }
      this.#run(task.run);
      this.#runMicrotasks();
    }
    return true;
  }

  /** Gives real promises their turn. */
  async settle(): Promise<void> {
    for (let round = 0; round < PROMISE_ROUNDS; round++) {
      await null;
      this.#runMicrotasks();
    }
    this.promised = false;
  }

  queueMicrotask(run: () => void): void {
    this.#microtasks.push(run);
  }

  #next(): Task | null {
    const timer = this.#timers[0];
    const isDue = timer !== undefined && timer.dueMs <= this.nowMs;
    if (this.#immediates.length > 0 && !(isDue && this.random.chance(0.5))) {
      this.nowMs += this.random.below(32) / 256;
      const index = this.random.below(this.#immediates.length);
      return this.#immediates.splice(index, 1)[0]!;
    }
    if (timer === undefined) return null;
    this.#timers.shift();
    if (timer.live && timer.dueMs > this.nowMs) this.nowMs = timer.dueMs;
    return timer;
  }

  #insert(task: Task): void {
    let at = this.#timers.length;
    while (at > 0 && this.#timers[at - 1]!.dueMs > task.dueMs) at--;
    this.#timers.splice(at, 0, task);
  }

  #runMicrotasks(): void {
    for (let i = 0; i < this.#microtasks.length; i++) this.#run(this.#microtasks[i]!);
    this.#microtasks.length = 0;
  }

  #run(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.uncaught ??= error;
    }
  }

  /** Runs `work` with our globals in the place of the real ones. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const restore = this.#replaceGlobals();
    try {
      return await work();
    } finally {
      restore();
    }
  }

  #replaceGlobals(): () => void {
    const handle = (task: Task) => {
      const self = { task, unref: () => self, ref: () => self, hasRef: () => false };
      return self;
    };
    type Handle = { readonly task: Task } | undefined | null;
    const clear = (given: Handle): void => this.cancel(given?.task);
    const fakes: [target: object, name: string, value: unknown][] = [
      [Date, "now", () => START_MS + Math.floor(this.nowMs)],
      [performance, "now", () => this.nowMs],
      [performance, "timeOrigin", START_MS],
      [Math, "random", () => this.#entropy.fraction()],
      [crypto, "getRandomValues", <T extends Int32Array | Uint8Array>(array: T): T => {
        for (let i = 0; i < array.length; i++) array[i] = this.#entropy.u32();
        return array;
      }],
      [globalThis, "setTimeout", (run: () => void, delayMs = 0) => handle(this.after(delayMs, run))],
      [globalThis, "setInterval", (run: () => void, everyMs: number) => handle(this.after(everyMs, run, everyMs))],
      [globalThis, "setImmediate", (run: (value: unknown) => void, value?: unknown) => {
        return handle(this.soon(() => run(value)));
      }],
      [globalThis, "clearTimeout", clear],
      [globalThis, "clearInterval", clear],
      [globalThis, "clearImmediate", clear],
      [globalThis, "queueMicrotask", (run: () => void) => this.queueMicrotask(run)],
    ];
    const originals = fakes.map(([target, name, value]) => {
      const original = Object.getOwnPropertyDescriptor(target, name);
      Object.defineProperty(target, name, { value, configurable: true, writable: true });
      return { target, name, original };
    });
    return () => {
      for (const { target, name, original } of originals) {
        if (original === undefined) delete (target as Record<string, unknown>)[name];
        else Object.defineProperty(target, name, original);
      }
    };
  }
}
