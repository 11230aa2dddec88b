// The book of a restart test: what was confirmed when, what was delivered, and the verdict by set arithmetic.

import assert from "node:assert/strict";

/** A publisher came back after a restart: it goes on with the first unconfirmed message, having sent `sent`. */
export interface Resume {
  from: number;
  sent: number;
}

/** Deliveries of ascending neighbours: first, first + 1, ... */
export interface Run {
  first: number;
  count: number;
  redelivered: boolean;
  /** How many times the consumer had connected before. */
  session: number;
}

export class Ledger {
  readonly resumes: Resume[] = [];
  readonly runs: Run[] = [];
  delivered = 0;

  deliver(index: number, redelivered: boolean, session: number): void {
    const last = this.runs[this.runs.length - 1];
    this.delivered++;
    if (
      last !== undefined && last.session === session && last.redelivered === redelivered &&
      last.first + last.count === index
    ) last.count++;
    else this.runs.push({ first: index, count: 1, redelivered, session });
  }

  addRun(run: Run): void {
    this.runs.push(run);
    this.delivered += run.count;
  }

  /**
   * All of 0..count-1 were confirmed in the end. None may be missing, first deliveries are in order, and a message comes
   * twice only if it was unconfirmed at a restart, or among the last `unackedMax` of a consumer that was cut off.
   */
  check(count: number, unackedMax: number): void {
    const copies = new Uint8Array(count); // deliveries that are not explained by an earlier, unacknowledged one
    const copiesMax = new Uint8Array(count).fill(1);
    for (const resume of this.resumes) {
      for (let index = resume.from; index < Math.min(resume.sent, count); index++) copiesMax[index]!++;
    }
    const skipped = new Set<number>();
    let highest = -1;
    let session = 0;
    let recent: number[] = []; // what the session before had in hand at most when it was cut off
    let again = new Map<number, number>();
    for (const run of this.runs) {
      if (run.session !== session) {
        session = run.session;
        again = new Map();
        for (const index of recent) again.set(index, (again.get(index) ?? 0) + 1);
        recent = [];
      }
      for (let index = run.first; index < run.first + run.count; index++) {
        assert.ok(index >= 0 && index < count, `phantom: message ${index} was never published`);
        recent.push(index);
        if (recent.length > unackedMax) recent.shift();
        const held = again.get(index) ?? 0;
        if (held > 0 && run.redelivered) {
          again.set(index, held - 1);
          continue;
        }
        copies[index]!++;
        assert.ok(
          copies[index]! <= copiesMax[index]!,
          `message ${index} came again: it was settled, or lacks the redelivered flag (flag ${run.redelivered})`,
        );
        if (copies[index]! > 1 || skipped.delete(index)) continue;
        assert.ok(index > highest, `message ${index} came after ${highest}: first deliveries are in order`);
        // What was unconfirmed at a restart may be gone in any part (a process dies in the middle of copying several, and
        // copying is in no order), and comes when it was published again.
        for (let missing = highest + 1; missing < index; missing++) {
          assert.ok(
            copiesMax[missing]! > 1,
            `message ${missing} was left out, though it was confirmed before ${index}`,
          );
          skipped.add(missing);
        }
        highest = index;
      }
    }
    assert.deepEqual([...skipped], [], "lost: they were confirmed in the end");
    assert.equal(highest, count - 1, `lost: confirmed messages from ${highest + 1} on were never delivered`);
  }
}
