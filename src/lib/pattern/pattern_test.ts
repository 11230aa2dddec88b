import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { escapePattern, Pattern, PatternFault } from "./pattern.ts";

function matches(pattern: string, ...texts: string[]): void {
  for (const text of texts) assert.equal(new Pattern(pattern).test(text), true, `/${pattern}/ matches '${text}'`);
}

function misses(pattern: string, ...texts: string[]): void {
  for (const text of texts) assert.equal(new Pattern(pattern).test(text), false, `/${pattern}/ misses '${text}'`);
}

test("what people write in permissions and policies", () => {
  matches(".*", "", "anything");
  matches("", "", "anything");
  matches("^$", "");
  misses("^$", "x");
  const own = String.raw`^(amq\.gen.*|mine-.*|amq\.default)$`;
  matches(own, "amq.gen-abc", "mine-", "amq.default");
  misses(own, "amqXgen", "amq.defaults", "yours", "");
  const foreign = String.raw`^(?!amq\.).*`;
  matches(foreign, "orders", "amq", "my.amq.x", "");
  misses(foreign, "amq.topic", "amq.");
  matches("orders", "new orders come");
  matches("^tenant-[0-9]{1,3}\\.(events|commands)$", "tenant-1.events", "tenant-999.commands");
  misses("^tenant-[0-9]{1,3}\\.(events|commands)$", "tenant-.events", "tenant-1000.events", "tenant-1.event");
  matches("(?i)^ORDERS", "orders.new", "Orders");
  matches("^[^.]+\\.v\\d+$", "a.v1", "long-name.v22");
  misses("^[^.]+\\.v\\d+$", "a.b.v1", "a.vx");
});

test("classes, escapes, groups, repetitions, looks", () => {
  matches("^[\\w-]+$", "a_B-9");
  matches("^[]a]+$", "]a]");
  matches("^[a-]+$", "a-");
  matches("^[[:alpha:]_]+$", "ab_C");
  misses("^[[:alpha:]_]+$", "ab1");
  matches("^\\x41\\x{42}\\t\\.$", "AB\t.");
  matches("^\\Qa.b*\\E$", "a.b*");
  misses("^\\Qa.b*\\E$", "axbb");
  matches("^(?:a|b)*?c{2}$", "abbacc", "cc");
  matches("^(?<name>a)(?P<other>b)?(?#comment)$", "ab", "a");
  matches("\\bq\\b", "a q b", "q");
  misses("\\bq\\b", "aqb");
  matches("^(?=.*x)(?=.*y).*$", "axby", "yx");
  misses("^(?=.*x)(?=.*y).*$", "ax", "b");
  matches("(?<=a)b", "ab");
  misses("(?<!a)b", "ab", "a");
  matches("^(?!.*(?<!x)-dlq$)", "orders", "x-dlq", "a-dlq-b");
  misses("^(?!.*(?<!x)-dlq$)", "orders-dlq");
  matches("^a{,2}$", "a{,2}");
  matches("^(|a)b$", "b", "ab");
  matches("^.$", "ä");
  misses("^.$", "\n");
  matches("(?s)^.$", "\n");
  misses("a$", "a\n");
});

test("what is refused says what it is and where", () => {
  const refused: [string, RegExp][] = [
    ["(", /missing \) for \( at character 1/],
    ["a)", /unmatched \) at character 2/],
    ["[a", /missing \] for \[/],
    ["*a", /nothing to repeat at character 1/],
    ["a**", /nothing to repeat/],
    ["(a)\\1", /references back are not supported at character 4/],
    ["a++", /\+\+ is not supported/],
    ["(?>a)", /\(\?> is not supported/],
    ["(?R)", /not supported/],
    ["\\p{L}", /\\p is not supported/],
    ["a\\", /\\ at the end/],
    ["[b-a]", /out of order/],
    ["a{3,2}", /out of order/],
    ["a{1001}", /more than 1000/],
    ["(?:a{900}){900}", /more than 8192 steps/],
    ["(".repeat(65) + ")".repeat(65), /nested deeper than 64/],
    ["a".repeat(4097), /longer than 4096/],
  ];
  for (const [pattern, text] of refused) {
    assert.throws(() => new Pattern(pattern), (error) => error instanceof PatternFault && text.test(error.message));
  }
});

test("nothing blows up: what takes a backtracking matcher for ever is done at once", () => {
  const evil = [
    "^(a+)+$",
    "^(a|a)*$",
    "^(a|aa)+$",
    "(.*a){20}",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(?=(a+)+b)(?!(a*)*c)x",
  ];
  const text = "a".repeat(255) + "!";
  for (const pattern of evil) new Pattern(pattern).test(text);
});

test("an escaped text matches itself alone", () => {
  const given = "a.b*{vhost}[/]-ä\\";
  matches(`^${escapePattern(given)}$`, given);
  misses(`^${escapePattern(given)}$`, "axb*{vhost}[/]-ä\\");
});

test("agrees with the platform's matcher", () => {
  const atom = fc.constantFrom(
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    "^",
    "$",
    "\\b",
    "\\w",
    "(?=a)",
    "(?!b)",
    "(?<=a)",
    "(?<!b)",
  );
  const { pattern } = fc.letrec<{ pattern: string; item: string }>((tie) => ({
    pattern: fc.array(tie("item"), { maxLength: 4 }).map((items) => items.join("")),
    item: fc.oneof(
      { weight: 4, arbitrary: atom },
      {
        weight: 1,
        arbitrary: fc.tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{1,2}")).map(([p, q]) => `(?:${p})${q}`),
      },
      { weight: 1, arbitrary: fc.tuple(tie("pattern"), tie("pattern")).map(([p, q]) => `(${p}|${q})`) },
      { weight: 1, arbitrary: tie("pattern").map((p) => `(?!${p})`) },
    ),
  }));
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "\u{1f600}"), maxLength: 6 });
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 4 }), (given, texts) => {
      const [once, forMany] = [new Pattern(given), new Pattern(given, true)];
      for (const text of texts) {
        const expected = new RegExp(given).test(text);
        assert.equal(once.test(text), expected, `/${given}/ on '${text}'`);
        assert.equal(forMany.test(text), expected, `/${given}/ on '${text}', one of many`);
      }
    }),
    { numRuns: 3000 },
  );
});

test("what is kept of a pattern for many texts is bounded, and forgotten where it would be more", () => {
  // As many states as there are sets of the last twelve places at which it may have begun.
  const given = "a.{12}$";
  const pattern = new Pattern(given, true);
  const platform = new RegExp(given);
  let bits = 1;
  for (let round = 0; round < 200; round++) {
    let text = "";
    for (let i = 0; i < 60; i++) {
      bits = (bits * 1_103_515_245 + 12_345) % 2 ** 31;
      text += bits > 2 ** 30 ? "a" : "b";
    }
    assert.equal(pattern.test(text), platform.test(text), text);
  }
});
