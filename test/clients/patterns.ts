// The common patterns that every client must be able to run: their names, and what the npm clients run them on.

export const PATTERNS = [
  "requests are answered by direct reply-to",
  "workers share tasks, and a lost worker's task is done by another",
  "every subscriber of a fanout exchange gets the news",
  "topics lead to those who asked for them",
  "what failed is tried again later, through dead letters",
  "the more urgent comes first",
  "headers lead to those who asked for them",
  "a full queue refuses with a nack",
  "a stream is read again from its start, from an offset and from its end",
] as const;

/** One more; amqplib alone has no calls for it. */
export const TRANSACTIONS = "a transaction is committed or rolled back as a whole";

/** `prefix` begins every name that is declared. */
export type Pattern = (uri: string, prefix: string) => Promise<void>;

export type Patterns = Record<(typeof PATTERNS)[number], Pattern> & { [TRANSACTIONS]?: Pattern };

export const REQUESTS = ["0", "1", "2", "3", "4"];
export const TASKS = ["0", "1", "2", "3", "4", "5"];
/** How they look to those who did them, sorted: the first was in the hands of the worker that was lost. */
export const TASKS_DONE = ["0!", "1", "2", "3", "4", "5"];
export const NEWS = ["a", "b", "c"];

export const TOPICS = {
  keys: ["quick.orange.rabbit", "lazy.orange.elephant", "quick.brown.fox", "lazy.pink.rabbit", "lazy", "orange"],
  subscribers: [
    { patterns: ["*.orange.*"], expected: ["quick.orange.rabbit", "lazy.orange.elephant"] },
    {
      patterns: ["*.*.rabbit", "lazy.#"],
      expected: ["quick.orange.rabbit", "lazy.orange.elephant", "lazy.pink.rabbit", "lazy"],
    },
  ],
} as const;

export const DOCUMENTS = {
  kinds: ["pdf report", "pdf log", "zip report", "zip log"],
  subscribers: [
    { binding: { "x-match": "all", format: "pdf", type: "report" }, expected: ["pdf report"] },
    { binding: { "x-match": "any", format: "pdf", type: "log" }, expected: ["pdf report", "pdf log", "zip log"] },
  ],
} as const;

export function documentHeaders(kind: string): { format: string; type: string } {
  const [format = "", type = ""] = kind.split(" ");
  return { format, type };
}

export const PRIORITY_QUEUE = { "x-max-priority": 10 };
export const PRIORITIES = {
  published: [1, undefined, 9, 5, 200], // 200 counts as 10
  expected: ["200", "9", "5", "1", "undefined"],
} as const;

/** A queue that takes two messages. */
export const SMALL_QUEUE = { "x-max-length": 2, "x-overflow": "reject-publish" } as const;
/** To be published in this order, `null` standing for one that is taken out. */
export const OVERFLOW = { published: ["a", "b", "c", null, "d", "e"], refused: ["c", "e"], kept: ["b", "d"] } as const;

export const STREAM = { "x-queue-type": "stream" } as const;
export const STREAM_LENGTH = 50;
/** Fewer than there are to read: acknowledgements bring the rest. */
export const STREAM_PREFETCH = 10;
/** Where readers begin, and the offsets they see; the last of them waits for one that is published then. */
export const STREAM_READERS: readonly { start: string | number; expected: readonly number[] }[] = [
  { start: "first", expected: Array.from({ length: STREAM_LENGTH }, (_, index) => index) },
  { start: 40, expected: [40, 41, 42, 43, 44, 45, 46, 47, 48, 49] },
  { start: "next", expected: [STREAM_LENGTH] },
];

/** Offset and body; a body tells the offset it should have. */
export function expectedEntries(offsets: readonly number[]): unknown[] {
  return offsets.map((offset) => [offset, `${offset}`]);
}

/** Two queues: what is rejected in the first comes back to it after a while in the second. */
export function retryQueues(prefix: string): [Queue, Queue] {
  const [tried, later] = [`${prefix} tried`, `${prefix} tried later`];
  return [
    { name: tried, arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": later } },
    {
      name: later,
      arguments: { "x-message-ttl": 100, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": tried },
    },
  ];
}

interface Queue {
  name: string;
  arguments: Record<string, string | number>;
}

/** What a worker looks at to know how often it failed already. */
export function failures(headers: Record<string, unknown> | undefined, queue: string): number {
  const deaths = (headers?.["x-death"] ?? []) as { queue: string; reason: string; count: number }[];
  return deaths.find((death) => death.queue === queue && death.reason === "rejected")?.count ?? 0;
}

export const FAILURES_MAX = 2;

/** What was dead-lettered, in the headers of the last try. */
export function expectedDeaths(prefix: string): unknown[] {
  const [tried, later] = retryQueues(prefix);
  return [[later.name, "expired", FAILURES_MAX], [tried.name, "rejected", FAILURES_MAX], tried.name, "rejected"];
}

export function shownDeaths(headers: Record<string, unknown> | undefined): unknown[] {
  const deaths = (headers?.["x-death"] ?? []) as { queue: string; reason: string; count: number }[];
  const shown = deaths.map(({ queue, reason, count }) => [queue, reason, count]);
  return [...shown, headers?.["x-first-death-queue"], headers?.["x-first-death-reason"]];
}
