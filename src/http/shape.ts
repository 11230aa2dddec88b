// How a thing becomes JSON: a table of its fields, each a function, so that a list of very many things is filtered, sorted
// and cut to a page with only those fields looked at that matter for it.

export type Fields<T, C> = Readonly<Record<string, (item: T, context: C) => unknown>>;

/** A name within a name: `message_stats.publish_details.rate`. */
export type FieldPath = readonly string[];

export function pathsOf(text: string): FieldPath[] {
  return text.split(",").filter((name) => name !== "").map((name) => name.split("."));
}

/** One thing, with the columns that a request asks for. */
export function shapeOne<T, C>(
  item: T,
  fields: Fields<T, C>,
  context: C,
  query: { readonly columns?: string | undefined },
): Record<string, unknown> {
  return shape(item, fields, context, query.columns === undefined ? null : pathsOf(query.columns));
}

/** All fields, or those of `columns`. What is undefined is left out, as JSON does. */
export function shape<T, C>(
  item: T,
  fields: Fields<T, C>,
  context: C,
  columns: readonly FieldPath[] | null = null,
): Record<string, unknown> {
  if (columns === null) {
    return Object.fromEntries(Object.keys(fields).map((name) => [name, fields[name]!(item, context)]));
  }
  const result: Record<string, unknown> = Object.create(null);
  const tops = new Set(columns.map(([top]) => top!));
  for (const top of tops) {
    if (!Object.hasOwn(fields, top)) continue;
    const value = fields[top]!(item, context);
    const inner = columns.filter(([name]) => name === top).map((path) => path.slice(1));
    result[top] = inner.some((path) => path.length === 0) ? value : only(value, inner);
  }
  return result;
}

/** One field, as deep as the path goes; undefined when there is none. */
export function fieldOf<T, C>(item: T, fields: Fields<T, C>, context: C, path: FieldPath): unknown {
  const [top] = path;
  if (top === undefined || !Object.hasOwn(fields, top)) return undefined;
  let value = fields[top]!(item, context);
  for (let depth = 1; depth < path.length; depth++) value = memberOf(value, path[depth]!);
  return value;
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function only(value: unknown, paths: readonly FieldPath[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  const result: Record<string, unknown> = Object.create(null);
  for (const path of paths) {
    const found = memberOf(value, path[0]!);
    if (found === undefined) continue;
    const inner = paths.filter(([name]) => name === path[0]).map((other) => other.slice(1));
    result[path[0]!] = inner.some((other) => other.length === 0) ? found : only(found, inner);
  }
  return result;
}
