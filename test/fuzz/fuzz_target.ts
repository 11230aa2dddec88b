// What can be fuzzed: a way to make inputs and a check of one. An input is always octets, so that every case can be kept
// in a file, made smaller octet by octet, and run again without its seed.

import type { FuzzRandom } from "./random.ts";

export interface FuzzTarget {
  readonly name: string;
  /** How its corpus is written: octets as hexadecimal digits, or text. */
  readonly form: "hex" | "text";
  /** Its part of the time that all targets share. */
  readonly share: number;
  /**
   * One input: a valid structure with something broken, or an entry of the corpus, mutated. The same random numbers and
   * the same corpus give the same input.
   */
  make(random: FuzzRandom, corpus: readonly Uint8Array[]): Uint8Array;
  /** Throws when something does not hold. Leaves nothing behind that the next case would see. */
  check(input: Uint8Array): void | Promise<void>;
  /** Frames, lines and the like, of which some may be left out when a failing input is made smaller. */
  pieces?(input: Uint8Array): readonly Uint8Array[];
  /** Before the first case. */
  open?(): Promise<void>;
  /** After the last one; throws when something is left that should not be. */
  close?(): Promise<void>;
}
