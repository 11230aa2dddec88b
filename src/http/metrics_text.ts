// Prometheus' text format: families of samples, each with help and type, names and labels escaped.

export type MetricType = "counter" | "gauge" | "histogram" | "untyped";
export type Labels = readonly (readonly [name: string, value: string])[];

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** Behind the family's name: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
}

export interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly samples: Iterable<Sample>;
}

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The lines of a family, one by one. */
export function* linesOf({ name, type, help, samples }: Family): IterableIterator<string> {
  if (name === "") return yield "";
  yield `# TYPE ${name} ${type}\n# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n`;
  for (const { labels, value, suffix } of samples) {
    yield `${name}${suffix ?? ""}${labelsText(labels)} ${numberText(value)}\n`;
  }
}

function labelsText(labels: Labels): string {
  if (labels.length === 0) return "";
  return `{${labels.map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return Number.isNaN(value) ? "NaN" : String(value);
}
