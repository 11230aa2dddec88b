// Lists: pages, names, patterns, sorting by any field, columns; and very long ones.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HttpApi } from "../support/http_api.ts";
import { waitFor } from "../support/wait.ts";

const api = new HttpApi();
after(() => api.stop());

const NAMES = ["b", "a", "d", "c", "e"];
before(async () => {
  for (const [index, name] of NAMES.entries()) {
    await api.expect(201, "PUT", `queues/%2f/${name}`, { arguments: { "x-max-length": 10 - index } });
    for (let i = 0; i < index; i++) {
      await api.expect(200, "POST", "exchanges/%2f/amq.default/publish", {
        properties: {},
        routing_key: name,
        payload: "x",
        payload_encoding: "string",
      });
    }
  }
});

async function names(query: string): Promise<string[]> {
  const answer = await api.get(`queues?${query}`);
  return (Array.isArray(answer) ? answer : answer.items).map(({ name }: { name: string }) => name);
}

test("a list is in order of names, and a page is a part of it", async () => {
  assert.deepEqual(await names(""), ["a", "b", "c", "d", "e"]);
  const page = await api.get("queues?page=2&page_size=2&columns=name");
  assert.deepEqual(page, {
    filtered_count: 5,
    item_count: 2,
    items: [{ name: "c" }, { name: "d" }],
    page: 2,
    page_count: 3,
    page_size: 2,
    total_count: 5,
  });
  assert.deepEqual(await names("page=3&page_size=2"), ["e"]);
});

test("pages that are not there are refused in RabbitMQ's words", async () => {
  const beyond = await api.expect(400, "GET", "queues?page=4&page_size=2");
  assert.deepEqual(beyond.json, {
    error: "page_out_of_range",
    reason: "Page out of range, page: 4 page size: 2, len: 5",
  });
  for (const query of ["page=0", "page=1&page_size=501", "page=1&page_size=0"]) {
    assert.equal((await api.expect(400, "GET", `queues?${query}`)).json.error, "invalid_pagination_parameters");
  }
  for (const query of ["page=x", "page=-1", "page=1&page=2", "sort=a&sort=b", "use_regex=maybe"]) {
    await api.expect(400, "GET", `queues?${query}`);
  }
});

test("names are found by a text in them or by a pattern, in linear time", async () => {
  assert.deepEqual(await names("name=A"), ["a"]);
  assert.deepEqual(await names("name=%5E%5Bad%5D%24&use_regex=true&page=1"), ["a", "d"]);
  await api.expect(400, "GET", "queues?name=(&use_regex=true&page=1");
  await api.expect(201, "PUT", `queues/%2f/${"a".repeat(200)}`, {});
  const evil = encodeURIComponent("(a+)+(a+)+(a+)+$b");
  assert.deepEqual(await names(`name=${evil}&use_regex=true&page=1`), []);
  await api.expect(204, "DELETE", `queues/%2f/${"a".repeat(200)}`);
});

test("any field sorts, also one within another, in either direction", async () => {
  assert.deepEqual(await names("sort=messages"), NAMES);
  assert.deepEqual(await names("sort=messages&sort_reverse=true"), [...NAMES].reverse());
  assert.deepEqual(await names("sort=arguments.x-max-length"), [...NAMES].reverse());
  assert.deepEqual(await names("sort=messages&sort_reverse=true&page=1&page_size=2"), ["e", "c"]);
  // Who has no such field comes first; nobody who asks for one that there is not is refused.
  assert.equal((await names("sort=message_stats.publish"))[0], "b");
  assert.deepEqual(
    await names("sort=no.such.field"),
    ["a", "b", "c", "d", "e"].sort((a, b) => {
      return NAMES.indexOf(a) - NAMES.indexOf(b);
    }),
  );
  assert.equal((await names("sort=__proto__.constructor")).length, 5);
});

test("what is counted sorts as it is shown, however deep it lies", async () => {
  const counting = new HttpApi({ statsIntervalMs: 100 });
  try {
    for (let i = 0; i < 12; i++) await counting.expect(201, "PUT", `queues/%2f/q${i}`, {});
    const publish = async () => {
      for (let i = 0; i < 12; i += 2) {
        const message = { properties: {}, routing_key: `q${i}`, payload: "x", payload_encoding: "string" };
        for (let n = 0; n < 13 - i; n++) {
          await counting.ask("POST", "exchanges/%2f/amq.default/publish", { body: message });
        }
      }
    };
    const get = { count: 2, ackmode: "ack_requeue_false", encoding: "auto" };
    for (const i of [4, 8, 9]) await counting.expect(200, "POST", `queues/%2f/q${i}/get`, get);
    const paths = [
      ...[
        "publish",
        "publish_details.rate",
        "get_no_ack",
        "get_no_ack_details.rate",
        "deliver_get",
        "deliver_get_details.rate",
      ],
      ...["get_empty", "confirm", "no_such", "publish_details", "publish_details.none", "publish.rate"],
    ].map((path) => `message_stats.${path}`);
    paths.push(
      "messages_details.rate",
      "messages_ready_details.rate",
      "messages_unacknowledged_details.rate",
      "messages",
    );
    const rates = new Set<number>();
    await waitFor("rates", async () => {
      await publish();
      for (const path of paths) {
        for (const reverse of [false, true]) {
          const rows = await counting.get(`queues?sort=${path}&sort_reverse=${reverse}`);
          const seen = rows.map((row: unknown) => {
            // deno-lint-ignore no-explicit-any
            const value = path.split(".").reduce((within: any, name) => within?.[name], row);
            return typeof value === "number" ? value : -Infinity;
          });
          const expected = [...seen].sort((a, b) => reverse ? b - a : a - b);
          assert.deepEqual(seen, expected, path);
          assert.equal(rows.length, 12);
          if (path.endsWith("publish_details.rate")) seen.forEach((rate: number) => rates.add(rate));
        }
      }
      return rates.size > 3;
    });
  } finally {
    await counting.stop();
  }
});

test("columns choose fields, also parts of them", async () => {
  const [first] = await api.get("queues?columns=name,messages,arguments.x-max-length,nope&name=e");
  assert.deepEqual(first, { name: "e", messages: 4, arguments: { "x-max-length": 6 } });
  assert.deepEqual(await api.get("queues/%2f/e?columns=name,messages"), { name: "e", messages: 4 });
});

test("50,000 queues: a page in good time, the whole list in slices, and nobody waits for either", async () => {
  const broker = await api.broker;
  const { realm } = broker.management!;
  const vhost = realm.vhost("/");
  const options = { durable: false, autoDelete: false, exclusive: false, args: new Map() };
  for (let i = 0; i < 50_000; i++) vhost.declareQueue(`many-${i}`, options, {});
  let longestMs = 0;
  let last = performance.now();
  const ticker = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }, 1);
  try {
    const page = await api.get("queues?page=1&page_size=100");
    assert.equal(page.total_count, 50_005);
    assert.equal(page.items.length, 100);
    const far = await api.get("queues?page=400&page_size=100&columns=name&sort=name");
    assert.equal(far.items.length, 100);
    const all = await api.get("queues?columns=name");
    assert.equal(all.length, 50_005);
    const sorted = await api.get("queues?sort=message_stats.publish_details.rate&page=1&columns=name");
    assert.equal(sorted.items.length, 100);
  } finally {
    clearInterval(ticker);
  }
  // Generous: other processes may have the processor for seconds. Alone it is about 20 ms.
  assert.ok(longestMs < 5_000, `the loop was held for ${longestMs} ms`);
});
