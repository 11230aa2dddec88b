// `tail`: what comes into a queue, or goes through an exchange, as it comes and without taking it from anybody.

import process from "node:process";
import { at } from "./api.ts";
import type { Call, Commands } from "./commands.ts";
import { type ExchangeTailFlags, tailExchange } from "./exchange_tail.ts";
import { CtlFault, usageFault } from "./fault.ts";
import { type Seen, writeHead, writeSeen } from "./seen.ts";
import { quoted } from "./text.ts";
import { integer, jsonOption } from "./words.ts";

/** Messages that wait for whoever reads too slowly what we print; the oldest go. */
const WAITING_MAX = 10_000;

interface TailFlags extends ExchangeTailFlags {
  readonly queue?: true;
  readonly exchange?: true;
}

export function addTail(commands: Commands): void {
  commands.add<TailFlags>(
    "tail <name>",
    "show what comes into a queue, or is published to an exchange, as it comes, without taking it from anybody; of an " +
      "exchange over AMQP",
    tail,
  )
    .option("--queue", "it is the queue of this name, where there is an exchange, too")
    .option("--exchange", "it is the exchange of this name")
    .option(
      "-k, --routing-key <key>",
      "as a queue is bound to the exchange (default: # with a topic exchange, else nothing)",
    )
    .option("--arguments <json>", "arguments of the binding: headers to match", jsonOption("what --arguments gives"))
    .option("-n, --count <n>", "end after so many messages", integer(1, 2 ** 31))
    .option("--amqp-uri <uri>", "where AMQP is (default: as the API tells, with the same user)");
}

async function tail(call: Call<TailFlags>, name?: string): Promise<void> {
  if (name === "") throw usageFault("nothing can be bound to the default exchange");
  if (await isQueue(call, name!)) await tailQueue(call, name!);
  else await tailExchange(call, name!);
}

/** What is meant by a name; flags that are of use for exchanges alone say it, too. */
async function isQueue({ api, vhost, flags }: Call<TailFlags>, name: string): Promise<boolean> {
  const { queue, exchange, routingKey, arguments: args, amqpUri } = flags;
  const forExchange = exchange === true || routingKey !== undefined || args !== undefined || amqpUri !== undefined;
  if (queue === true && forExchange) throw usageFault("--queue goes with none of the flags that are for exchanges");
  if (queue === true) return true;
  if (forExchange) return false;
  const where = `in vhost ${quoted(vhost)}`;
  const hasQueue = await api.has(at`queues/${vhost}/${name}`, `queue ${quoted(name)} ${where}`);
  const hasExchange = await api.has(at`exchanges/${vhost}/${name}`, `exchange ${quoted(name)} ${where}`);
  if (hasQueue && hasExchange) {
    throw usageFault(`there is a queue and an exchange ${quoted(name)} ${where}: --queue or --exchange says which`);
  }
  if (!hasQueue && !hasExchange) throw new CtlFault(`queue or exchange ${quoted(name)} ${where}: not found`);
  return hasQueue;
}

async function tailQueue(call: Call<TailFlags>, queue: string): Promise<void> {
  const { api, vhost, flags } = call;
  const what = `queue ${quoted(queue)} in vhost ${quoted(vhost)}`;
  const stop = Promise.withResolvers<void>();
  const printer = new Printer(call, flags.count ?? Infinity, () => stop.resolve());
  const interrupt = () => stop.resolve();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  let end: string | null = null;
  try {
    await api.follow(at`queues/${vhost}/${queue}/tail`, what, {
      begun: () => printer.begin(),
      event(kind, data) {
        if (kind === "message") printer.print(JSON.parse(data) as Seen);
        else if (kind === "missed") printer.missed(Number(data));
        else if (kind === "end") end = JSON.parse(data) as string;
      },
      stop: stop.promise,
    });
    await printer.done();
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
  if (end !== null) throw new CtlFault(`${what}: ${end}`);
}

/** Prints one behind the other, as fast as somebody reads. */
class Printer {
  readonly #call: Call<TailFlags>;
  readonly #full: () => void;
  #left: number;
  #waiting: Seen[] = [];
  #missed = 0;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(call: Call<TailFlags>, count: number, full: () => void) {
    this.#call = call;
    this.#left = count;
    this.#full = full;
  }

  begin(): void {
    this.#writing = writeHead(this.#call);
  }

  print(seen: Seen): void {
    if (this.#left === 0) return;
    this.#left--;
    this.#waiting.push(seen);
    if (this.#waiting.length > WAITING_MAX) {
      this.#waiting.shift();
      this.#missed++;
    }
    if (!this.#busy) {
      this.#busy = true;
      this.#writing = this.#writing.then(() => this.#write());
    }
    if (this.#left === 0) this.#full();
  }

  missed(count: number): void {
    this.#missed += count;
  }

  async #write(): Promise<void> {
    for (let seen = this.#waiting.shift(); seen !== undefined; seen = this.#waiting.shift()) {
      if (this.#missed > 0) process.stderr.write(`leveret ctl: ${this.#missed} messages missed\n`);
      this.#missed = 0;
      await writeSeen(this.#call, seen);
    }
    this.#busy = false;
  }

  done(): Promise<void> {
    return this.#writing;
  }
}
