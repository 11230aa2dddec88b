// Alarms: what is short (disk, memory, or what an operator says), and who wants to know. While one holds, nobody may
// publish or declare; what protocols do about that is their matter.

/** How much there is and how much there must be. Probes that cannot tell give null; a limit of 0 is none. */
export interface AlarmProbes {
  /** Free bytes of the disk with the messages. */
  freeDiskBytes(): number | null;
  readonly freeDiskBytesMin: number;
  /** Bytes of memory that the process uses. */
  residentBytes(): number | null;
  readonly residentBytesMax: number;
}

export const DISK_ALARM = "disk";
export const MEMORY_ALARM = "memory";
/** The order in which RabbitMQ names resources. */
const RESOURCES: readonly string[] = [MEMORY_ALARM, DISK_ALARM];

export class Alarms {
  /** At least one holds. Read for every frame. */
  active = false;
  readonly #raised = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #probes: AlarmProbes | null;

  constructor(probes: AlarmProbes | null = null) {
    this.#probes = probes;
  }

  /** The names of those that hold. */
  get raised(): readonly string[] {
    return [...this.#raised];
  }

  /** For clients, in RabbitMQ's words: `low on memory & disk`. */
  get reason(): string {
    const resources = RESOURCES.filter((name) => this.#raised.has(name));
    const others = this.raised.filter((name) => !RESOURCES.includes(name));
    const low = resources.length === 0 ? [] : [`low on ${resources.join(" & ")}`];
    return [...low, ...others].join(", ");
  }

  /** Something is short: DISK_ALARM, MEMORY_ALARM, or an operator's own word for it. */
  raise(name: string): void {
    if (this.#raised.has(name)) return;
    this.#raised.add(name);
    this.#changed();
  }

  clear(name: string): void {
    if (this.#raised.delete(name)) this.#changed();
  }

  /** Looks at disk and memory; now and then. */
  check(): void {
    const probes = this.#probes;
    if (probes === null) return;
    const free = probes.freeDiskBytes();
    this.#set(DISK_ALARM, free !== null && free < probes.freeDiskBytesMin);
    const resident = probes.residentBytesMax === 0 ? null : probes.residentBytes();
    this.#set(MEMORY_ALARM, resident !== null && resident > probes.residentBytesMax);
  }

  /** `changed` is called after every change; returns what ends that. */
  subscribe(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  #set(name: string, holds: boolean): void {
    if (holds) this.raise(name);
    else this.clear(name);
  }

  #changed(): void {
    this.active = this.#raised.size > 0;
    for (const changed of [...this.#listeners]) changed();
  }
}
