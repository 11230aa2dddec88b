// Alarms: what is short (disk, memory, or what an operator says), and who wants to know. While one holds, nobody may
// publish or declare; what protocols do about that is their matter. Disk and memory are looked at now and then, the disk
// also after so many bytes, so that the alarm comes before the disk is full however fast it fills.

/** How much there is and how much there must be. Probes that cannot tell give null; a limit of 0 is none. */
export interface AlarmProbes {
  /** Free bytes of the disk with the messages. */
  freeDiskBytes(): number | null;
  readonly freeDiskBytesMin: number;
  /** After the disk was full, as much must be free for it to count as over. */
  readonly freeDiskBytesAgain: number;
  /** Sets space aside for what must always find room; false when the disk does not give it. */
  setAside(): boolean;
  /** Bytes of memory that the process holds and the system cannot take back. */
  memoryBytes(): number | null;
  readonly memoryBytesMax: number;
}

export const DISK_ALARM = "disk";
export const MEMORY_ALARM = "memory";
/** The order in which RabbitMQ names resources. */
const RESOURCES: readonly string[] = [MEMORY_ALARM, DISK_ALARM];
/** The disk is looked at again when this part of what was left above its limit has been allocated. */
const PART_UNSEEN_MAX = 1 / 4;

export class Alarms {
  /** At least one holds. Read for every frame. */
  active = false;
  readonly #raised = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #probes: AlarmProbes | null;
  /** Bytes that may be allocated before the disk is looked at. */
  #unseenBytes = 0;
  /** The disk did not take something, and has not been found to have room again. */
  #full = false;

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
    this.#checkDisk(probes);
    const memory = probes.memoryBytesMax === 0 ? null : probes.memoryBytes();
    this.#set(MEMORY_ALARM, memory !== null && memory > probes.memoryBytesMax);
  }

  /** So many bytes of the disk were allocated. */
  allocated(bytes: number): void {
    this.#unseenBytes -= bytes;
    if (this.#unseenBytes < 0 && this.#probes !== null) this.#checkDisk(this.#probes);
  }

  /** The disk took something not: the alarm holds until there is room for that, and what is set aside, again. */
  diskFull(): void {
    this.#full = true;
    this.raise(DISK_ALARM);
  }

  /** `changed` is called after every change; returns what ends that. */
  subscribe(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  #checkDisk(probes: AlarmProbes): void {
    const free = probes.freeDiskBytes();
    const left = free === null ? Infinity : free - probes.freeDiskBytesMin;
    this.#unseenBytes = Math.max(0, left * PART_UNSEEN_MAX);
    if (this.#full && left >= 0) {
      this.#full = !((free === null || free >= probes.freeDiskBytesAgain) && probes.setAside());
    }
    this.#set(DISK_ALARM, this.#full || left < 0);
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
