// What a case has taken from the machine (mounts, loop devices, directories) and gives back, whatever happens to it.

import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

export class Releases {
  readonly #open: { readonly what: string; readonly release: () => void }[] = [];
  readonly #atExit = () => {
    killChildren();
    for (const error of this.#releaseAll()) console.error(error);
  };
  readonly #atSignal = (signal: NodeJS.Signals) => {
    this.#atExit();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };

  constructor() {
    process.on("exit", this.#atExit);
    process.on("SIGINT", this.#atSignal);
    process.on("SIGTERM", this.#atSignal);
  }

  /** `release` is called once, in the reverse order of the calls of this. It may not wait: a process that ends cannot. */
  add(what: string, release: () => void): void {
    this.#open.push({ what, release });
  }

  /** Releases all. Throws when something could not be, after everything else was. */
  close(): void {
    process.off("exit", this.#atExit);
    process.off("SIGINT", this.#atSignal);
    process.off("SIGTERM", this.#atSignal);
    const errors = this.#releaseAll();
    if (errors.length > 0) throw new AggregateError(errors, errors.map((error) => error.message).join("; "));
  }

  #releaseAll(): Error[] {
    const errors: Error[] = [];
    while (this.#open.length > 0) {
      const { what, release } = this.#open.pop()!;
      try {
        release();
      } catch (error) {
        errors.push(new Error(`cannot release ${what}: ${(error as Error).message}`));
      }
    }
    return errors;
  }
}

/** Whoever was started by this process may have files open on what is to be released. */
function killChildren(): void {
  for (const thread of readdirSync("/proc/self/task")) {
    for (const pid of readFileSync(`/proc/self/task/${thread}/children`, "utf8").split(" ")) {
      if (pid.trim() === "") continue;
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // Gone by itself.
      }
    }
  }
}
