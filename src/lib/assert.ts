// Programming errors. A failed assertion is a fault: it is never part of ordinary flow.

/** An expectation of the code about itself did not hold. */
export class AssertionFault extends Error {
  override readonly name = "AssertionFault";
}

/** Throws an AssertionFault with `message` when `condition` does not hold. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFault(message);
}
