// Waiting for a condition with a deadline; tests never sleep for a guessed time.

const POLL_MS = 10;

/** Asks again and again until `condition` gives something other than undefined or false. */
export async function waitFor<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  while (true) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`no ${what} within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `promise`, or a failure that says what was waited for. */
export async function within<T>(what: string, promise: Promise<T>, timeoutMs = 30_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Hands over what arrives (deliveries, returns, events) in order to whoever asks for the next one. */
export class Inbox<T> {
  readonly waiting: T[] = [];
  #takers: ((item: T) => void)[] = [];

  push(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.waiting.push(item);
    else taker(item);
  }

  async next(what = "delivery", timeoutMs = 30_000): Promise<T> {
    const item = this.waiting.shift();
    if (item !== undefined) return item;
    return await within(what, new Promise<T>((resolve) => this.#takers.push(resolve)), timeoutMs);
  }

  async take(count: number, what = "delivery"): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next(`${what} ${items.length + 1} of ${count}`));
    return items;
  }
}
