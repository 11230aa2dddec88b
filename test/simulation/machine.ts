// A simulated machine with a broker on it: starts the broker, lets things happen one by one, ends its process one way or
// the other. Says what no broker may do whatever is asked of it: hang, fault, throw, go on after a sync has failed.

import type { Broker } from "../../src/broker.ts";
import type { Address } from "../../src/runtime/runtime.ts";
import type { CrashKind, Model } from "./model.ts";
import { type ProcessPlan, SimProcess } from "./process.ts";
import type { Product } from "./product.ts";
import { SimDisk } from "./sim_disk.ts";
import { SimRuntime } from "./sim_runtime.ts";
import type { World } from "./world.ts";

const DATA_DIR = "/data";
/** An answer takes no longer than this, milliseconds of simulated time. */
const ANSWER_MS_MAX = 60_000;
const STEPS_MAX = 50_000;
/** Longer than any sync. */
const IDLE_MS = 40;
/** Steps that a broker whose sync failed is watched for before its process ends. */
const AFTERMATH_STEPS = 60;

/** The process is gone: the script of this life ends. */
export class LifeOver extends Error {
  override readonly name = "LifeOver";
}

/** The model was contradicted: the run ends. */
export class Contradicted extends Error {
  override readonly name = "Contradicted";
}

export interface Settings {
  readonly segmentBytes: number;
  readonly kernelBytes: number;
  readonly writeBackChance: number;
}

export class Machine {
  readonly world: World;
  readonly model: Model;
  readonly medium: SimDisk;
  readonly settings: Settings;
  /** How often the process died. */
  crashes = 0;
  process!: SimProcess;
  runtime!: SimRuntime;
  readonly #product: Product;
  #broker: Broker | null = null;
  #faults: Error[] = [];
  #stepsLeft = Infinity;
  #started = false;
  #ending = false;

  constructor(world: World, model: Model, product: Product, settings: Settings) {
    this.world = world;
    this.model = model;
    this.settings = settings;
    this.#product = product;
    this.medium = new SimDisk(world.random, () => world.nowMs);
  }

  get address(): Address {
    return this.#broker!.listeners[0]!;
  }

  /** Recovers what is on the disk. Throws LifeOver when the process dies over it. `dieAtStep` as in steps; Infinity: not. */
  async start(plan: ProcessPlan, dieAtStep: number): Promise<void> {
    this.world.trace.add("start", plan.dieAtChange, plan.failSync);
    this.process = new SimProcess(this.world, this.medium, this.#product, plan);
    this.runtime = new SimRuntime(this.process, this.settings.kernelBytes);
    this.#faults = [];
    this.#ending = false;
    this.#started = false;
    this.#stepsLeft = dieAtStep;
    const { segmentBytes } = this.settings;
    const config = { dataDir: DATA_DIR, segmentBytes, memoryBytesMax: 0, freeDiskBytesMin: 0, amqp: { port: 0 } };
    const onFault = (fault: Error): void => void this.#faults.push(fault);
    const broker = new this.#product.Broker(config, { onFault }, this.runtime);
    const state: { outcome: "starting" | "started" | Error } = { outcome: "starting" };
    broker.start().then(() => state.outcome = "started", (error) => state.outcome = error as Error);
    this.#broker = broker;
    await this.world.settle();
    await this.until(() => state.outcome !== "starting", "start");
    if (state.outcome instanceof Error) this.#contradict(`the broker does not start: ${state.outcome.message}`);
    this.#started = true;
  }

  /** Ends the broker in good order. */
  async stop(): Promise<void> {
    const state: { outcome: "stopping" | "stopped" | Error } = { outcome: "stopping" };
    this.#ending = true;
    this.#broker!.stop().then(() => state.outcome = "stopped", (error) => state.outcome = error as Error);
    await this.until(() => state.outcome !== "stopping", "stop");
    if (state.outcome instanceof Error) this.#contradict(`the broker does not stop: ${state.outcome.message}`);
    if (this.process.openCount > 0) this.#contradict(`${this.process.openCount} descriptors are open after the stop`);
    this.process.die();
    this.#gone("stop");
  }

  /** What is left when the process has died, or dies now. */
  crash(kind: CrashKind): void {
    const { random } = this.world;
    this.crashes++;
    // It may have died while it noted that it runs, or that it stops; then the next one cannot tell what came before it.
    if (!this.#started || this.#ending) { for (const queue of this.model.queues.values()) queue.read = true; }
    this.process.die();
    this.world.trace.add(kind);
    if (kind === "kill") {
      this.medium.afterKill();
    } else {
      const odds = [0, 0.1, 0.5, 0.9, 1];
      this.medium.afterPowerCut({ sector: random.pick(odds), name: random.pick(odds) });
    }
    this.#gone(kind);
  }

  /** Lets one thing happen. */
  async step(): Promise<void> {
    const { world } = this;
    if (this.process.dead) throw new LifeOver();
    world.step();
    if (world.promised || this.#ending) await world.settle();
    this.medium.tick();
    if (world.random.chance(this.settings.writeBackChance)) this.medium.writeBack();
    if (this.process.dead) throw new LifeOver();
    if (world.uncaught !== null) this.#contradict(`nobody caught: ${stackOf(world.uncaught)}`);
    if (this.process.syncFailed) await this.#aftermath();
    else if (this.#faults.length > 0) this.#contradict(`the broker gave up: ${stackOf(this.#faults[0])}`);
    this.check();
    if (--this.#stepsLeft < 0) {
      this.process.die();
      throw new LifeOver();
    }
  }

  check(): void {
    if (this.model.violations.length > 0) throw new Contradicted(this.model.violations[0]);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const deadlineMs = this.world.nowMs + ANSWER_MS_MAX;
    for (let steps = 0; this.process.dead || !condition(); steps++) {
      if (steps > STEPS_MAX || this.world.nowMs > deadlineMs) this.#contradict(`waited in vain for ${what}`);
      await this.step();
    }
    this.check();
  }

  /** So many steps, or until nothing is to be done for now. */
  async steps(count: number): Promise<void> {
    for (let i = 0; i < count && this.world.idleMs < IDLE_MS; i++) await this.step();
  }

  async sleep(ms: number): Promise<void> {
    let over = false;
    this.world.after(ms, () => over = true);
    await this.until(() => over, `${ms} ms`);
  }

  /** A sync failed: the broker has to say so at once, and nobody gets a confirm for what he sends from now on. */
  async #aftermath(): Promise<never> {
    if (this.#faults.length === 0) this.#contradict("a sync failed, and the broker did not say so");
    this.model.faultedMs = this.world.nowMs;
    for (let i = 0; i < AFTERMATH_STEPS && !this.process.dead && this.world.idleMs < IDLE_MS; i++) {
      this.world.step();
      if (this.world.promised) await this.world.settle();
    }
    this.check();
    this.process.die();
    throw new LifeOver();
  }

  #gone(kind: CrashKind): void {
    this.world.clear();
    this.world.uncaught = null;
    this.model.crash(kind, this.process.syncFailed);
    this.#broker = null;
  }

  #contradict(text: string): never {
    this.model.violate(text);
    throw new Contradicted(text);
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
