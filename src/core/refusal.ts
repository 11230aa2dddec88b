// What the broker refuses to do, in terms neutral of protocols. Each protocol maps reasons to its codes in one place.

export type RefusalReason =
  | "not-found"
  | "access-refused"
  | "precondition-failed"
  | "resource-locked"
  | "not-allowed"
  | "not-implemented";

/** A request that is understood and declined. `message` is worded as RabbitMQ words it, without the code's name. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
