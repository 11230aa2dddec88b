// The book of a load: what was published, confirmed, delivered and settled, and the verdict over it by set arithmetic.
// A byte per message and queue, so that it holds tens of millions. Lives outside of the broker's process and disk.
//
// A publisher numbers its messages and publishes each once: what was unconfirmed at a fault is not sent again. So a
// second delivery is legal only for what was not settled for sure, and then it is flagged redelivered.

/** What a queue is to the ledger. */
export interface Book {
  readonly name: string;
  /** A stream is read, not consumed: each message once, by one reader that goes on where it was. */
  readonly isStream: boolean;
  /** Messages of one publisher keep their order within a lane: the message's number modulo this. */
  readonly lanes: number;
  /** With more than one, what the order is only holds within a consumer's session. */
  readonly consumers: number;
}

/** Where a message is, in one queue. */
const NEW = 0;
/** Delivered, not settled. */
const OUT = 1;
/** An ack was sent; whether the broker has it is not known. */
const ACKED = 2;
/** The broker has the ack. */
const GONE = 3;
/** Given back, or not settled when its consumer was cut off: must come again. */
const BACK = 4;
/** Its consumer was cut off behind the ack: may come again. */
const MAYBE = 5;
/** The ack is on disk: never comes again, whatever happens. */
const SETTLED = 6;

const EXAMPLES_MAX = 3;
const COUNT_MIN = 4096;

export type Violation = "phantom" | "duplicate" | "unflagged" | "order";

export interface Verdict {
  readonly published: number;
  readonly confirmed: number;
  /** First deliveries, over all queues. */
  readonly delivered: number;
  readonly redelivered: number;
  /** Confirmed, and missing in a queue that it was routed to. */
  readonly lost: number;
  readonly phantom: number;
  /** Came again though it was settled, or without the flag. */
  readonly duplicates: number;
  readonly disorder: number;
  /** A sentence for each kind of what went wrong. */
  readonly failures: readonly string[];
}

/** One publisher's messages, by number. */
class Pages {
  count = 0;
  confirmedCount = 0;
  /** Which queues it was routed to, a bit each. */
  routes = new Uint8Array(COUNT_MIN);
  confirmed = new Uint8Array(COUNT_MIN);
  /** By queue; null where nothing went. */
  readonly states: (Uint8Array<ArrayBuffer> | null)[];

  constructor(queues: number) {
    this.states = new Array(queues).fill(null);
  }

  grow(): void {
    this.routes = grown(this.routes);
    this.confirmed = grown(this.confirmed);
    for (let queue = 0; queue < this.states.length; queue++) {
      const states = this.states[queue]!;
      if (states !== null) this.states[queue] = grown(states);
    }
  }

  clone(): Pages {
    const copy = new Pages(this.states.length);
    copy.count = this.count;
    copy.confirmedCount = this.confirmedCount;
    copy.routes = this.routes.slice();
    copy.confirmed = this.confirmed.slice();
    for (let queue = 0; queue < this.states.length; queue++) copy.states[queue] = this.states[queue]?.slice() ?? null;
    return copy;
  }
}

export class Ledger {
  readonly books: readonly Book[];
  #publishers: Pages[];
  /** Number of the last first delivery, by queue, publisher, lane and consumer. */
  #last = new Map<number, number>();
  #delivered = 0;
  #redelivered = 0;
  readonly #violations = new Map<Violation, { count: number; examples: string[] }>();
  /** Settled, and not known to be on disk: queue, publisher, number, one behind the other. */
  #fresh: number[] = [];
  #closing: { readonly settled: number[]; readonly publisher: number; readonly from: number } | null = null;

  constructor(publishers: number, books: readonly Book[]) {
    this.books = books;
    this.#publishers = Array.from({ length: publishers }, () => new Pages(books.length));
  }

  /** First ones and others. */
  get deliveries(): number {
    return this.#delivered + this.#redelivered;
  }

  publishedBy(publisher: number): number {
    return this.#publishers[publisher]!.count;
  }

  get confirmed(): number {
    return this.#publishers.reduce((sum, pages) => sum + pages.confirmedCount, 0);
  }

  /** The next message of `publisher`, routed to the queues whose bits are set; returns its number. Hot. */
  publish(publisher: number, route: number): number {
    const pages = this.#publishers[publisher]!;
    const number = pages.count++;
    if (number === pages.routes.length) pages.grow();
    pages.routes[number] = route;
    for (let queue = 0; queue < this.books.length; queue++) {
      if ((route & (1 << queue)) !== 0) pages.states[queue] ??= new Uint8Array(pages.routes.length);
    }
    return number;
  }

  /** Hot. */
  confirm(publisher: number, number: number): void {
    const pages = this.#publishers[publisher]!;
    if (pages.confirmed[number] !== 0) return;
    pages.confirmed[number] = 1;
    pages.confirmedCount++;
    const closing = this.#closing;
    if (closing !== null && closing.publisher === publisher && number >= closing.from) this.#settleClosing();
  }

  isConfirmed(publisher: number, number: number): boolean {
    return this.#publishers[publisher]!.confirmed[number] !== 0;
  }

  /** Something was delivered that no publisher made. */
  strange(what: string): void {
    this.#violate("phantom", what);
  }

  /** `consumer` tells those of one queue apart. False: it is none of ours, or wrong, and must not be settled. Hot. */
  deliver(queue: number, publisher: number, number: number, redelivered: boolean, consumer: number): boolean {
    const book = this.books[queue]!;
    const pages = this.#publishers[publisher];
    const states = pages?.states[queue];
    if (pages === undefined || states === undefined || states === null || number >= pages.count) {
      this.#violate("phantom", `${book.name}: message ${number} of publisher ${publisher}`);
      return false;
    }
    if ((pages.routes[number]! & (1 << queue)) === 0) {
      this.#violate("phantom", `${book.name}: message ${number} of publisher ${publisher} went elsewhere`);
      return false;
    }
    const state = states[number]!;
    if (state === NEW) {
      this.#checkOrder(book, queue, publisher, number, consumer);
      this.#delivered++;
    } else if (state === BACK || state === MAYBE) {
      if (!redelivered) this.#violate("unflagged", `${book.name}: message ${number} of publisher ${publisher}`);
      this.#redelivered++;
    } else {
      this.#violate("duplicate", `${book.name}: message ${number} of publisher ${publisher}, state ${state}`);
      return false;
    }
    states[number] = OUT;
    return true;
  }

  /** An ack is on its way. Hot. */
  acked(queue: number, publisher: number, number: number): void {
    this.#publishers[publisher]!.states[queue]![number] = ACKED;
  }

  /** The broker has answered something that was said behind the ack. Hot. */
  gone(queue: number, publisher: number, number: number): void {
    this.#publishers[publisher]!.states[queue]![number] = GONE;
    this.#fresh.push(queue, publisher, number);
  }

  /** Given back, or held by a consumer that was cut off. */
  back(queue: number, publisher: number, number: number): void {
    this.#publishers[publisher]!.states[queue]![number] = BACK;
  }

  /** An ack was sent by a consumer that was cut off before it knew. */
  maybe(queue: number, publisher: number, number: number): void {
    this.#publishers[publisher]!.states[queue]![number] = MAYBE;
  }

  /**
   * `publisher` is about to publish: what is settled by now is on disk as soon as one of its next messages is confirmed,
   * because a sync takes along all that was written before it.
   */
  publishing(publisher: number): void {
    if (this.#closing !== null || this.#fresh.length === 0) return;
    this.#closing = { settled: this.#fresh, publisher, from: this.publishedBy(publisher) };
    this.#fresh = [];
  }

  /** `publisher` was cut off: what it waited for will not be confirmed. */
  publisherCut(publisher: number): void {
    if (this.#closing?.publisher !== publisher) return;
    for (const value of this.#closing.settled) this.#fresh.push(value);
    this.#closing = null;
  }

  /** A consumer of the queue begins anew. */
  session(queue: number): void {
    if (this.books[queue]!.consumers > 1) this.#forgetOrder(queue);
  }

  /** A copy to judge by what a power cut at this moment leaves. Streams will be read from their beginning. */
  cut(): Ledger {
    const copy = new Ledger(0, this.books);
    copy.#publishers = this.#publishers.map((pages) => pages.clone());
    for (const pages of copy.#publishers) {
      for (let queue = 0; queue < this.books.length; queue++) {
        const states = pages.states[queue] ?? null;
        if (states === null) continue;
        if (this.books[queue]!.isStream) states.fill(NEW);
        else for (let i = 0; i < pages.count; i++) states[i] = AFTER_CUT[states[i]!]!;
      }
    }
    return copy;
  }

  /** When everything was drained and nothing is under way. */
  verdict(): Verdict {
    let [published, confirmed, lost] = [0, 0, 0];
    const examples: string[] = [];
    this.#publishers.forEach((pages, publisher) => {
      published += pages.count;
      confirmed += pages.confirmedCount;
      for (let number = 0; number < pages.count; number++) {
        if (pages.confirmed[number] === 0) continue;
        for (let queue = 0; queue < this.books.length; queue++) {
          if ((pages.routes[number]! & (1 << queue)) === 0) continue;
          const state = pages.states[queue]![number]!;
          if (state !== NEW && state !== BACK) continue;
          lost++;
          const what = state === NEW ? "never delivered" : "given back and not delivered again";
          if (examples.length < EXAMPLES_MAX) {
            examples.push(`${this.books[queue]!.name}: message ${number} of publisher ${publisher}, ${what}`);
          }
        }
      }
    });
    const failures = lost === 0 ? [] : [`${lost} lost: ${examples.join("; ")}`];
    for (const [kind, { count, examples }] of this.#violations) {
      failures.push(`${count} ${NAMES[kind]}: ${examples.join("; ")}`);
    }
    return {
      published,
      confirmed,
      delivered: this.#delivered,
      redelivered: this.#redelivered,
      lost,
      phantom: this.#countOf("phantom"),
      duplicates: this.#countOf("duplicate") + this.#countOf("unflagged"),
      disorder: this.#countOf("order"),
      failures,
    };
  }

  #checkOrder(book: Book, queue: number, publisher: number, number: number, consumer: number): void {
    const key = ((queue * 256 + publisher) * 256 + number % book.lanes) * 256 + (book.consumers > 1 ? consumer : 0);
    const last = this.#last.get(key) ?? -1;
    if (number < last) {
      this.#violate("order", `${book.name}: message ${number} of publisher ${publisher} came behind ${last}`);
    }
    this.#last.set(key, Math.max(last, number));
  }

  #forgetOrder(queue: number): void {
    for (const key of [...this.#last.keys()]) if (Math.floor(key / 2 ** 24) === queue) this.#last.delete(key);
  }

  #settleClosing(): void {
    const { settled } = this.#closing!;
    this.#closing = null;
    for (let i = 0; i < settled.length; i += 3) {
      this.#publishers[settled[i + 1]!]!.states[settled[i]!]![settled[i + 2]!] = SETTLED;
    }
  }

  #violate(kind: Violation, example: string): void {
    const found = this.#violations.get(kind);
    if (found === undefined) this.#violations.set(kind, { count: 1, examples: [example] });
    else if (++found.count <= EXAMPLES_MAX) found.examples.push(example);
  }

  #countOf(kind: Violation): number {
    return this.#violations.get(kind)?.count ?? 0;
  }
}

const NAMES: Readonly<Record<Violation, string>> = {
  phantom: "that nobody published",
  duplicate: "came again though settled",
  unflagged: "came again without the flag",
  order: "out of order",
};

/** An ack that is not known to be on disk may be undone by a power cut. */
const AFTER_CUT: readonly number[] = (() => {
  const states: number[] = [];
  states[NEW] = NEW;
  states[OUT] = states[BACK] = BACK;
  states[ACKED] = states[GONE] = states[MAYBE] = MAYBE;
  states[SETTLED] = SETTLED;
  return states;
})();

function grown(old: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(old.length * 2);
  larger.set(old);
  return larger;
}
