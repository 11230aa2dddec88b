// Which of a publisher's messages wait for their confirm. Brokers may confirm in any order, singly or cumulatively; the
// window reaches from the oldest unconfirmed tag to the newest, so at most `size` are outstanding.

export class ConfirmWindow {
  readonly size: number;
  /** Messages published on the channel; the newest has this tag. */
  sent = 0;
  accepted = 0;
  rejected = 0;
  /** Every tag up to this is settled. */
  #base = 0;
  /** One byte for each tag in the window, 1 when it is settled out of order. */
  readonly #settled: Uint8Array;

  constructor(size: number) {
    this.size = size;
    this.#settled = new Uint8Array(size);
  }

  /** How many more may be published now. */
  get room(): number {
    return this.size - (this.sent - this.#base);
  }

  /** Everything sent is confirmed. */
  get idle(): boolean {
    return this.sent === this.#base;
  }

  /** A confirm came. Tags that are not in the window are ignored. Hot. */
  settle(tag: number, multiple: boolean, accepted: boolean): void {
    if (tag === 0 && multiple) tag = this.sent;
    if (tag <= this.#base || tag > this.sent) return;
    const from = multiple ? this.#base + 1 : tag;
    for (let each = from; each <= tag; each++) {
      const index = each % this.size;
      if (this.#settled[index] === 1) continue;
      this.#settled[index] = 1;
      if (accepted) this.accepted++;
      else this.rejected++;
    }
    while (this.#base < this.sent && this.#settled[(this.#base + 1) % this.size] === 1) {
      this.#base++;
      this.#settled[this.#base % this.size] = 0;
    }
  }
}
