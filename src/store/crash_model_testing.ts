// For the models of queue and priority store: what a crash may leave. Not part of the product.

import assert from "node:assert/strict";

interface Entry {
  readonly body: string;
  readonly state: string;
}

/** What a model knows: of everything since the last turn, how it was after that turn, and what came since. */
interface Known<E extends Entry> {
  readonly entries: readonly E[];
  readonly flushed: readonly E[];
  readonly appended: readonly E[];
}

/**
 * Holds the bodies that are there against what is known; returns their entries, in order of arrival. What was there after
 * the last turn is there, and of each group the first so many of the messages appended since: a full buffer does not wait
 * for the end of the turn. What was settled since may be gone: the log is ahead of the messages.
 */
export function leftByCrash<E extends Entry>(
  found: readonly string[],
  { entries, flushed, appended }: Known<E>,
  groupOf: (entry: E) => number = () => 0,
): E[] {
  const there = new Set(found);
  const now = new Map(entries.map((entry) => [entry.body, entry]));
  const isThere = ({ body }: E) => there.has(body);
  const isOpen = ({ body }: E) => now.get(body)!.state !== "settled";
  assert.ok(flushed.filter(isOpen).every(isThere), "what stood there after the last turn is there");
  for (const group of new Set(appended.map(groupOf))) {
    const open = appended.filter((entry) => groupOf(entry) === group).filter(isOpen);
    const count = open.filter(isThere).length;
    assert.ok(open.slice(0, count).every(isThere), "of what came since the first are there");
  }
  return [...flushed, ...appended].filter(isThere).map(({ body }) => now.get(body)!);
}
