// A broker under attack: the process, the witness beside the attackers, and those who dawdle from beginning to end.

import { BrokerProcess, type Target } from "../support/broker_process.ts";
import { type OpenOptions, RawAmqp } from "../support/raw_amqp.ts";
import { anonymousBytes, openDescriptors } from "../support/process_state.ts";
import { PROTOCOL_HEADER } from "../support/raw_bytes.ts";
import { connection } from "../support/raw_methods.ts";
import { Witness } from "./witness.ts";

const DAWDLERS = 20;
const TRICKLE_MS = 250;

export interface Dawdler {
  readonly kind: string;
  /** How long the broker bore it. */
  endedMs: number | null;
  readonly ended: Promise<void>;
}

export class Siege {
  readonly broker: BrokerProcess;
  readonly witness: Witness;
  readonly dawdlers: Dawdler[] = [];
  /** Before the attacks. */
  readonly descriptors: number;
  readonly #clients: RawAmqp[] = [];
  readonly #timers: ReturnType<typeof setInterval>[] = [];

  static async start(target: Target): Promise<Siege> {
    // With this level every line on standard error is a fault of the broker.
    const broker = await BrokerProcess.start(target, { args: ["--log-level", "error"] });
    const witness = await Witness.start(broker.port);
    await witness.check();
    const siege = new Siege(broker, witness);
    await siege.#dawdle();
    return siege;
  }

  private constructor(broker: BrokerProcess, witness: Witness) {
    this.broker = broker;
    this.witness = witness;
    this.descriptors = this.openDescriptors();
  }

  async connect(): Promise<RawAmqp> {
    const client = await RawAmqp.connect(this.broker.port);
    this.#clients.push(client);
    return client;
  }

  /** An open connection with channel 1. */
  async open(options: OpenOptions = {}): Promise<RawAmqp> {
    const client = await this.connect();
    await client.shakeHands({ channels: 1, ...options });
    return client;
  }

  /** Memory of its own that the process holds, bytes; 0 where that cannot be told. */
  get anonymousBytes(): number {
    return anonymousBytes(this.broker.pid);
  }

  openDescriptors(): number {
    return openDescriptors(this.broker.pid);
  }

  /** Drops every attacker that is still there. */
  letGo(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const client of this.#clients) client.socket.destroy();
  }

  async dispose(): Promise<void> {
    this.letGo();
    this.witness.destroy();
    await this.broker.dispose();
  }

  /** Those who say nothing, those who stop halfway, and those who send a byte at a time. */
  async #dawdle(): Promise<void> {
    const kinds: [string, Uint8Array, Uint8Array][] = [
      ["silent", new Uint8Array(0), new Uint8Array(0)],
      ["halfway through the protocol header", PROTOCOL_HEADER.subarray(0, 4), new Uint8Array(0)],
      ["silent after start-ok", Buffer.concat([PROTOCOL_HEADER, connection.startOk()]), new Uint8Array(0)],
      ["a byte at a time", new Uint8Array(0), Buffer.concat([PROTOCOL_HEADER, connection.startOk()])],
    ];
    for (const [kind, first, later] of kinds) {
      for (let index = 0; index < DAWDLERS; index++) {
        const startMs = performance.now();
        const client = await this.connect();
        client.send(first);
        let at = 0;
        const timer = setInterval(() => {
          if (at < later.length && !client.ended) client.send(later.subarray(at, ++at));
        }, TRICKLE_MS);
        this.#timers.push(timer);
        const dawdler: Dawdler = {
          kind,
          endedMs: null,
          ended: client.closed.then(() => {
            dawdler.endedMs = performance.now() - startMs;
            clearInterval(timer);
          }),
        };
        this.dawdlers.push(dawdler);
      }
    }
  }
}
