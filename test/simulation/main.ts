// npm run simulate -- [--seed N] [--from N] [--seconds S] [--count N] [--events N]
import process from "node:process";
import { parseArgs } from "node:util";
import { loadProduct } from "./product.ts";
import { type Outcome, simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    seconds: { type: "string", default: "60" },
    count: { type: "string" },
    events: { type: "string", default: "60" },
    root: { type: "string" },
  },
});

const product = await loadProduct(values.root);
const now = performance.now.bind(performance);

function show(outcome: Outcome): void {
  console.log(outcome.last(Number(values.events)).join("\n"));
  console.log(
    `seed ${outcome.seed}: ${outcome.events} events, ${outcome.published} published, ${outcome.confirmed} confirmed, ` +
      `${outcome.delivered} delivered, ${outcome.crashes} crashes, hash ${outcome.hash}`,
  );
  console.log(outcome.violation === null ? "no violation" : `violation: ${outcome.violation}`);
}

if (values.seed !== undefined) {
  const outcome = await simulate(Number(values.seed), product);
  show(outcome);
  process.exit(outcome.violation === null ? 0 : 1);
}
const first = Number(values.from);
const begun = now();
const endMs = begun + Number(values.seconds) * 1000;
const last = values.count === undefined ? Infinity : first + Number(values.count);
let [seed, published, confirmed, delivered, crashes] = [first, 0, 0, 0, 0];
for (; seed < last && now() < endMs; seed++) {
  const outcome = await simulate(seed, product);
  published += outcome.published;
  confirmed += outcome.confirmed;
  delivered += outcome.delivered;
  crashes += outcome.crashes;
  if (outcome.violation !== null) {
    show(outcome);
    process.exit(1);
  }
}
const minutes = (now() - begun) / 60_000;
console.log(
  `seeds ${first} to ${seed - 1}: no violation; ${Math.round((seed - first) / minutes)} seeds a minute, ` +
    `${published} published, ${confirmed} confirmed, ${delivered} delivered, ${crashes} crashes`,
);
