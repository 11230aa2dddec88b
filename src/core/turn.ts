// The turn: everything that one chunk of one socket (or one timer) caused is collected here and done once, at its end:
// queues serve their consumers, stores are flushed and a sync begins, connections send.

/** Something with deliveries to make. `serve` returns true when it stopped at its budget and has more. */
export interface Servable {
  serve(): boolean;
}

/** Something with bytes to send. */
export interface Sendable {
  send(): void;
}

export interface TurnEnd {
  endTurn(): void;
}

/** Where a turn has more to send to, it waits for those that follow at once: one write then carries more. */
const SENDS_AT_ONCE_MAX = 2;

export class Turn {
  #scheduled = false;
  #servables: Servable[] = [];
  #sendables: Sendable[] = [];
  /** Queues that have used up their budget: they go on in the next turn, at the latest after the sockets had theirs. */
  #unfinished: Servable[] = [];
  #goingOn = false;
  #sending = false;
  readonly #commit: TurnEnd;
  readonly #onFault: (fault: unknown) => void;
  readonly #run = (): void => this.#end();
  readonly #sendNow = (): void => this.#sendAll();
  readonly #goOn = (): void => this.#continue();

  /** `onFault` is told of an exception that no connection can answer for; the process must end. */
  constructor(commit: TurnEnd, onFault: (fault: unknown) => void) {
    this.#commit = commit;
    this.#onFault = onFault;
  }

  /** Ends the turn after the current callback. Hot; idempotent. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#run);
  }

  /** `servable.serve()` is called at the end of this turn; the caller sees to it that it is added once. */
  serveLater(servable: Servable): void {
    this.#servables.push(servable);
    this.schedule();
  }

  /** `sendable.send()` is called at the end of this turn; the caller sees to it that it is added once. */
  sendLater(sendable: Sendable): void {
    this.#sendables.push(sendable);
    this.schedule();
  }

  #end(): void {
    try {
      // Who has used up a budget goes on with every turn, so that publishers who keep turns coming starve no consumer.
      this.#takeUnfinished();
      // Serving may make work for other queues (and settle what frees their consumers), so until none is left.
      while (this.#servables.length > 0) {
        const servables = this.#servables;
        this.#servables = [];
        for (const servable of servables) {
          if (servable.serve()) this.#unfinished.push(servable);
        }
      }
      // Who is told here that something is durable may have new work, which needs a turn of its own.
      this.#scheduled = false;
      this.#commit.endTurn();
      if (this.#sendables.length <= SENDS_AT_ONCE_MAX) this.#send();
      else if (!this.#sending) {
        this.#sending = true;
        setImmediate(this.#sendNow);
      }
      if (this.#unfinished.length > 0 && !this.#goingOn) {
        this.#goingOn = true;
        setImmediate(this.#goOn);
      }
    } catch (fault) {
      this.#scheduled = false;
      this.#onFault(fault);
    }
  }

  #send(): void {
    const sendables = this.#sendables;
    this.#sendables = [];
    for (const sendable of sendables) sendable.send();
  }

  /** Every socket that had something to read was read. */
  #sendAll(): void {
    this.#sending = false;
    try {
      this.#send();
    } catch (fault) {
      this.#onFault(fault);
    }
  }

  #takeUnfinished(): void {
    if (this.#unfinished.length === 0) return;
    this.#servables.push(...this.#unfinished);
    this.#unfinished = [];
  }

  /** The sockets had their turn. */
  #continue(): void {
    this.#goingOn = false;
    if (this.#unfinished.length > 0) this.schedule();
  }
}
