import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "./event_parser.ts";

test("events are the same however their text is cut, and signs of life are none", () => {
  const text =
    ': still here\n\ndata: {"a":1}\n\nevent: missed\ndata: 7\n\nid: 3\ndata: b\ndata: c\n\nevent: end\ndata: x';
  const events = [["message", '{"a":1}'], ["missed", "7"], ["message", "b\nc"]];
  for (let cut = 0; cut <= text.length; cut++) {
    const seen: string[][] = [];
    const parser = new EventParser((kind, data) => seen.push([kind, data]));
    parser.push(text.slice(0, cut));
    parser.push(text.slice(cut));
    assert.deepEqual(seen, events, `cut at ${cut}`);
  }
});
