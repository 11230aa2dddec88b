// The options of `perf amqp`: their meaning, and which do not go together.

export interface PerfOptions {
  readonly uri: string;
  readonly publishers: number;
  readonly consumers: number;
  /** Of a body, bytes. */
  readonly size: number;
  /** Null: no end by time. */
  readonly durationS: number | null;
  /** Before the interval that is measured. */
  readonly warmUpS: number;
  /** Per publisher; without publishers, messages to consume in all. Null: no end by number. */
  readonly count: number | null;
  /** Messages a second, all publishers together; null: as fast as it goes. */
  readonly rate: number | null;
  /** 0: no limit. */
  readonly prefetch: number;
  /** 0: auto-ack. */
  readonly ackEvery: number;
  /** Outstanding confirms of each publisher; 0: no confirms. */
  readonly confirm: number;
  readonly persistent: boolean;
  /** Names of the queues, at least one. */
  readonly queues: readonly string[];
  /** Empty: the default exchange. */
  readonly exchange: string;
  readonly exchangeType: string;
  /** Null: the name of the queue. */
  readonly routingKey: string | null;
  readonly durable: boolean;
  /** False: queues and exchange are there. */
  readonly declare: boolean;
  readonly keepQueue: boolean;
  readonly json: boolean;
}

/** What commander makes of the command line. */
export interface PerfFlags {
  readonly uri: string;
  readonly publishers: number;
  readonly consumers: number;
  readonly size: number;
  readonly duration?: number;
  readonly warmUp?: number;
  readonly count?: number;
  readonly rate?: number;
  readonly prefetch: number;
  readonly ackEvery?: number;
  readonly autoack?: boolean;
  readonly confirm: number;
  readonly persistent?: boolean;
  readonly queue: string;
  readonly queues: number;
  readonly exchange: string;
  readonly exchangeType: string;
  readonly routingKey?: string;
  readonly durable?: boolean;
  readonly transient?: boolean;
  readonly declare: boolean;
  readonly keepQueue?: boolean;
  readonly json?: boolean;
}

/** Options that contradict each other. */
export class OptionFault extends Error {
  override readonly name = "OptionFault";
}

/** A ring holds one message for each queue: this much memory at most, bytes. */
const RING_BYTES_MAX = 256 * 1024 * 1024;

/** Throws an OptionFault that names the options which do not go together. */
export function optionsOf(flags: PerfFlags): PerfOptions {
  const autoAck = flags.autoack ?? false;
  const ackEvery = autoAck ? 0 : flags.ackEvery ?? 1;
  if (autoAck && flags.ackEvery !== undefined) throw new OptionFault("--autoack and --ack-every exclude each other");
  if (flags.warmUp !== undefined && flags.count !== undefined) {
    throw new OptionFault("--warm-up and --count exclude each other");
  }
  if (flags.durable && flags.transient) throw new OptionFault("--durable and --transient exclude each other");
  if (flags.publishers === 0 && flags.consumers === 0) {
    throw new OptionFault("--publishers 0 and --consumers 0: nothing to do");
  }
  if (flags.prefetch > 0 && ackEvery > flags.prefetch) {
    throw new OptionFault(`--ack-every ${ackEvery} would wait for ever with --prefetch ${flags.prefetch}`);
  }
  if (flags.queues * flags.size > RING_BYTES_MAX) {
    throw new OptionFault(`--queues times --size must be at most ${RING_BYTES_MAX} bytes`);
  }
  return {
    uri: flags.uri,
    publishers: flags.publishers,
    consumers: flags.consumers,
    size: flags.size,
    durationS: flags.duration ?? null,
    warmUpS: flags.warmUp ?? 0,
    count: flags.count ?? null,
    rate: flags.rate ?? null,
    prefetch: flags.prefetch,
    ackEvery,
    confirm: flags.confirm,
    persistent: flags.persistent ?? false,
    queues: flags.queues === 1
      ? [flags.queue]
      : Array.from({ length: flags.queues }, (_, index) => `${flags.queue}-${index + 1}`),
    exchange: flags.exchange,
    exchangeType: flags.exchangeType,
    routingKey: flags.routingKey ?? null,
    durable: !flags.transient,
    declare: flags.declare,
    keepQueue: flags.keepQueue ?? false,
    json: flags.json ?? false,
  };
}

/** The queues that one of `parties` serves: each its share, or where there are more parties than queues, one shared. */
export function shareOf(queues: readonly string[], party: number, parties: number): readonly string[] {
  if (parties >= queues.length) return [queues[party % queues.length]!];
  return queues.filter((_, index) => index % parties === party);
}
