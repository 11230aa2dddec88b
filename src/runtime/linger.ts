// How long a connection that we close waits for its peer.

/** From `close`, or from the last progress after it, to the end at the latest: a peer on the other side of the world. */
export const CLOSE_LINGER_MS = 2_000;
