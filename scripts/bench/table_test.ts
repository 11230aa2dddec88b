import assert from "node:assert/strict";
import { test } from "node:test";
import { ROWS } from "./rows.ts";
import { matrix, type Sample, spread } from "./table.ts";

test("the spread of several rounds", () => {
  assert.deepEqual(spread([5, 1, 9]), { median: 5, min: 1, max: 9 });
  assert.deepEqual(spread([10, 2]), { median: 6, min: 2, max: 10 });
});

test("a line per row and broker, with what is left of the row that it is compared with, round by round", () => {
  const many = ROWS.find((row) => row.relativeTo !== undefined && row.rate === "consumed")!;
  const sample = (row: string, broker: Sample["broker"], round: number, consumed: number): Sample => {
    const rest = { published: 0, cpuUs: 0.5, peakBytes: 80e6, latencyP50Ms: 0.1, latencyP99Ms: 0.4 };
    return { row, broker, round, consumed, ...rest };
  };
  const lines = matrix([
    sample(many.relativeTo!, "bun", 1, 1000),
    sample(many.name, "bun", 1, 900),
    sample(many.relativeTo!, "bun", 2, 3000),
    sample(many.name, "bun", 2, 2100),
    sample(many.relativeTo!, "sink", 1, 5000),
    sample(many.relativeTo!, "rabbitmq", 1, 250),
  ]).trim().split("\n").slice(2);
  assert.deepEqual(lines, [
    `| ${many.relativeTo} | bun | 2,000 (1,000, 3,000) | 4.0 | 0.50 | 80 | 0.10, 0.40 |  |`,
    `| ${many.relativeTo} | sink | 5,000 (5,000, 5,000) | 20.0 | 0.50 | 80 | 0.10, 0.40 |  |`,
    `| ${many.relativeTo} | rabbitmq | 250 (250, 250) |  | 0.50 | 80 | 0.10, 0.40 |  |`,
    `| ${many.name} | bun | 1,500 (900, 2,100) |  | 0.50 | 80 | 0.10, 0.40 | 80 % of ${many.relativeTo} |`,
  ]);
});
