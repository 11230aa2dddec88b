// What signals do to a serving process: the first one stops it in good order, a second one ends it at once.

export interface SignalActions {
  /** Ends everything in good order. */
  stop(): Promise<void>;
  exit(code: number): void;
  onStopFault(fault: unknown): void;
  log(line: string): void;
}

export class Signals {
  #phase: "starting" | "serving" | "stopping" = "starting";
  readonly #actions: SignalActions;

  constructor(actions: SignalActions) {
    this.#actions = actions;
  }

  serving(): void {
    this.#phase = "serving";
  }

  receive(signal: string): void {
    const { stop, exit, onStopFault, log } = this.#actions;
    switch (this.#phase) {
      case "starting":
        // Nobody was served yet, so nothing was promised.
        return exit(0);
      case "serving":
        this.#phase = "stopping";
        log(`${signal}: stopping`);
        stop().then(() => exit(0), onStopFault);
        return;
      case "stopping":
        log(`${signal} again: ending at once`);
        return exit(1);
    }
  }
}
