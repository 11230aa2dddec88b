// Lists as RabbitMQ answers them: filtered by name, sorted by any field however deep, cut to a page, with the columns that
// are asked for. In slices: a list of very many things never holds up messages.

import { z } from "@hono/zod-openapi";
import { Breath } from "./breath.ts";
import { jsonHeaders } from "./json.ts";
import { nameMatcher } from "./name_matcher.ts";
import { Problem } from "./problem.ts";
import { fieldOf, type FieldPath, type Fields, pathsOf, shape } from "./shape.ts";
import { orderByKeys, orderByNames } from "./sort_keys.ts";
import { rangeInOrder } from "./sorting.ts";

const PAGE_SIZE_MAX = 500;
const PAGE_SIZE = 100;
/** Text that is put together before it is sent. */
const CHUNK_CHARS = 64 * 1024;

const count = z.string().regex(/^\d{1,9}$/, "expected a whole number").transform(Number);
const flag = z.enum(["true", "false"]).transform((text) => text === "true");

/** What every list understands. */
export const listQuery = z.object({
  page: count.optional().describe("which page, from 1 on; without it the whole list is answered"),
  page_size: count.optional().describe(
    `entries of a page, ${PAGE_SIZE} unless said otherwise, ${PAGE_SIZE_MAX} at most`,
  ),
  pagination: z.string().optional().describe("without meaning: a page is answered when one is asked for"),
  name: z.string().max(1024).optional().describe("only entries with this in their names"),
  use_regex: flag.optional().describe("`name` is a regular expression"),
  sort: z.string().max(1024).optional().describe("a field to sort by, with dots for fields within fields"),
  sort_reverse: flag.optional().describe("the greatest first"),
  columns: z.string().max(4096).optional().describe("fields that are answered, with commas between them"),
  disable_stats: flag.optional().describe("without meaning: statistics cost nothing"),
  enable_queue_totals: flag.optional().describe("without meaning: queues always have them"),
});

export type ListQuery = z.output<typeof listQuery>;

export interface ListOf<T, C> {
  readonly items: Iterable<T>;
  readonly fields: Fields<T, C>;
  readonly context: C;
  /** What `name` is compared with, and the order without `sort`. */
  readonly nameOf: (item: T) => string;
  /** By what those with equal names are told apart, first of all. */
  readonly groupOf?: (item: T) => string;
  /** A faster way to what lies at a path of `fields`, for those by which long lists are sorted; null where there is none. */
  readonly keyOf?: (path: FieldPath, context: C) => ((item: T) => unknown) | null;
}

export async function answerList<T, C>(list: ListOf<T, C>, query: ListQuery): Promise<Response> {
  const all = await collected(list.items);
  const kept = await filtered(all, list, query);
  const columns = query.columns === undefined ? null : pathsOf(query.columns);
  const toJson = (item: T): string => JSON.stringify(shape(item, list.fields, list.context, columns));
  const page = pageOf(query, kept.length);
  if (page === null) return streamed(await inOrder(kept, 0, kept.length, list, query), toJson);
  const from = (page.number - 1) * page.size;
  const items = await inOrder(kept, from, Math.min(kept.length, from + page.size), list, query);
  const rows = await each(items, toJson);
  const head = `"filtered_count":${kept.length},"item_count":${rows.length},"items":[${rows.join(",")}]`;
  const { number, size } = page;
  const count = Math.max(1, Math.ceil(kept.length / size));
  const tail = `"page":${number},"page_count":${count},"page_size":${size},"total_count":${all.length}`;
  return new Response(`{${head},${tail}}`, { headers: jsonHeaders() });
}

/** As of now: what comes and goes meanwhile does not move others from one page to another. */
async function collected<T>(items: Iterable<T>): Promise<T[]> {
  const breath = new Breath();
  const all: T[] = [];
  for (const item of items) {
    if (breath.due) await breath.take();
    all.push(item);
  }
  return all;
}

async function filtered<T, C>(items: T[], { nameOf }: ListOf<T, C>, { name, use_regex }: ListQuery): Promise<T[]> {
  if (name === undefined || name === "") return items;
  const matches = nameMatcher(name, use_regex ?? false);
  const breath = new Breath();
  const kept: T[] = [];
  for (const item of items) {
    if (breath.due) await breath.take();
    if (matches(nameOf(item))) kept.push(item);
  }
  return kept;
}

/** Those from place `from` up to place `to` in order. */
async function inOrder<T, C>(
  items: T[],
  from: number,
  to: number,
  list: ListOf<T, C>,
  query: ListQuery,
): Promise<T[]> {
  const path = query.sort === undefined ? null : pathsOf(query.sort)[0] ?? null;
  const sign = query.sort_reverse === true ? -1 : 1;
  const order = path === null
    ? await orderByNames(await each(items, list.groupOf ?? (() => "")), await each(items, list.nameOf), sign)
    : await orderByKeys(await each(items, keyOf(list, path)), sign);
  return Array.from(await rangeInOrder(items.length, from, to, order), (place) => items[place]!);
}

function keyOf<T, C>({ keyOf, fields, context }: ListOf<T, C>, path: FieldPath): (item: T) => unknown {
  return keyOf?.(path, context) ?? ((item) => fieldOf(item, fields, context, path));
}

async function each<T, U>(items: readonly T[], of: (item: T) => U): Promise<U[]> {
  const breath = new Breath();
  const all: U[] = [];
  for (const item of items) {
    if (breath.due) await breath.take();
    all.push(of(item));
  }
  return all;
}

function pageOf({ page, page_size }: ListQuery, length: number): { number: number; size: number } | null {
  if (page === undefined) return null;
  const size = page_size ?? PAGE_SIZE;
  if (page < 1 || size < 1 || size > PAGE_SIZE_MAX) {
    const reason = `Invalid pagination parameters: page number ${page}, page size ${page_size ?? "undefined"}`;
    throw new Problem(400, "invalid_pagination_parameters", reason);
  }
  if (page > 1 && (page - 1) * size >= length) {
    const reason = `Page out of range, page: ${page} page size: ${size}, len: ${length}`;
    throw new Problem(400, "page_out_of_range", reason);
  }
  return { number: page, size };
}

/** A whole list, put together while it is sent: it may be far larger than what should be held at a time. */
function streamed<T>(items: readonly T[], toJson: (item: T) => string): Response {
  const encoder = new TextEncoder();
  const breath = new Breath();
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      let text = at === 0 ? "[" : "";
      while (at < items.length && text.length < CHUNK_CHARS) {
        if (breath.due) await breath.take();
        text += (at === 0 ? "" : ",") + toJson(items[at++]!);
      }
      const done = at === items.length;
      if (done) text += "]";
      controller.enqueue(encoder.encode(text));
      if (done) controller.close();
    },
  }, { highWaterMark: 0 });
  return new Response(body, { headers: jsonHeaders() });
}
