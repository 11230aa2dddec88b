// Group commit: which stores must be flushed at the end of the turn, which descriptors are dirty, who waits for them,
// and which sync runs. Owns no file. The rule that it exists for: a waiter is told `durable` only after a sync that
// began after the waiter's bytes had been written, and that succeeded.
//
//   wait ──> waiting ──(sync begins: seal)──> sealed ──(sync done: durable)──> told
//   dirty ─> dirty ───(sync begins)─────────> in flight ──(sync done)────────> clean
//
// One sync runs at a time; what comes meanwhile forms the next batch, which begins when the sync is done. While syncing is
// switched off nobody waits: what is written is told at the end of the turn, and synced lazily all the same.

import { isDiskFull } from "../lib/disk_full.ts";
import type { Syncer } from "../runtime/runtime.ts";
import { DirtyFiles } from "./dirty_files.ts";
import { Hold, type Holdable } from "./hold.ts";
import type { CommitSink } from "./queue_store_host.ts";

/** What nobody waits for is synced within this time, milliseconds: what a power cut may take of it. */
const LAZY_SYNC_MS = 1000;

/** Something that buffers what it was given during a turn. */
export interface Flushable extends Holdable {
  /** Writes what is buffered to its file and calls `dirty`. */
  flush(): void;
  /** What it buffers need not be in a file before clients are sent what they are given in this turn. Default false. */
  readonly mayWait?: boolean;
}

/** Somebody who waits until what was written is on disk. */
export interface CommitWaiter {
  /** A sync is about to begin: all that you wait for up to now is covered by it. */
  seal(): void;
  /** What was sealed is on disk. */
  durable(): void;
}

export interface GroupCommitOptions {
  /** A flush found the disk full. True when room was made: then it is tried again at once. Default: never. */
  readonly makeRoom?: () => boolean;
  /** null: there is no disk; waiters are told at the end of the turn. */
  readonly syncer: Syncer | null;
  /** Waiters wait for a sync; can be switched later. Default true. */
  readonly syncing?: boolean;
  /** A sync or a flush failed: the process must end. Called once; nothing is retried, nobody is told `durable` any more. */
  readonly onFault: (fault: Error) => void;
  /** LAZY_SYNC_MS, for tests. */
  readonly lazySyncMs?: number;
  /** How long syncs and consumers take is measured by it, milliseconds. Default: performance.now. */
  readonly nowMs?: () => number;
}

interface Drainer {
  readonly resolve: () => void;
  readonly reject: (fault: Error) => void;
}

/** What consumers settle later than so many syncs would have taken was held in vain. */
const HOLD_SYNCS_MAX = 2;
const SYNCS_REMEMBERED = 8;

const mayWait = (store: Flushable) => store.mayWait === true;

export class GroupCommit implements CommitSink {
  readonly #syncer: Syncer | null;
  readonly #onFault: (fault: Error) => void;
  readonly #lazySyncMs: number;
  readonly #makeRoom: () => boolean;
  #syncing: boolean;
  readonly #touched: Flushable[] = [];
  readonly #files = new DirtyFiles();
  /** Those whose flush found the disk full. While there are any nobody is told `durable`: some of it is not written. */
  #stuck: Flushable[] = [];
  #stuckFault: Error | null = null;
  #waiting = new Set<CommitWaiter>();
  /** How often was waited since the last sync began, and before that one. */
  #asked = 0;
  #covered = 0;
  /** The last sync was for one who waited once, and when it was done nobody else waited. */
  #alone = false;
  /** Such a sync has stopped everything in this round of the event loop. */
  #blocked = false;
  #sealed = new Set<CommitWaiter>();
  #drainers: Drainer[] = [];
  /** The syncer has our descriptors. */
  #running = false;
  /** A step is under way; what is called from within it leaves the next step to it. */
  #stepping = false;
  /** The lazy ones have waited long enough. */
  #overdue = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #fault: Error | null = null;
  readonly #syncDone: (fault: Error | null) => void;
  readonly #nowMs: () => number;
  readonly #hold: Hold;
  #begunMs = 0;
  /** What a sync takes, a moving average. */
  #syncMs = 0;
  readonly #unblock = (): void => void (this.#blocked = false);
  readonly #timeUp: () => void;

  constructor(options: GroupCommitOptions) {
    this.#syncer = options.syncer;
    this.#onFault = options.onFault;
    this.#lazySyncMs = options.lazySyncMs ?? LAZY_SYNC_MS;
    this.#makeRoom = options.makeRoom ?? (() => false);
    this.#syncing = options.syncer !== null && (options.syncing ?? true);
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#hold = new Hold(this.#nowMs, () => this.#advance());
    this.#syncDone = (fault) => this.#finish(fault);
    this.#timeUp = () => {
      this.#timer = null;
      this.#overdue = this.#files.any;
      this.#advance();
    };
  }

  /** Waiters wait for a sync. */
  get syncing(): boolean {
    return this.#syncing;
  }

  /**
   * Switched off, whoever waits is told at once, in order. Switched on, the next sync covers all that was written
   * meanwhile. Without a disk it stays off.
   */
  set syncing(on: boolean) {
    this.#syncing = on && this.#syncer !== null;
    if (!on) this.endTurn();
  }

  /** Something is to be flushed or synced, or somebody waits. */
  get busy(): boolean {
    return this.#running || this.#stepping || this.#touched.length > 0 || this.stuck || this.#isAwaited ||
      this.#files.any;
  }

  /** The disk is full, and something that must be written is not: it is tried again with every turn. */
  get stuck(): boolean {
    return this.#stuck.length > 0;
  }

  /** `store.flush` is called at the end of the turn. A store touches once, and again only after its flush. Hot. */
  touch(store: Flushable): void {
    this.#touched.push(store);
  }

  /** The file has bytes that the next sync must cover. Hot. */
  dirty(fd: number): void {
    if (fd >= 0 && this.#syncer !== null) this.#files.add(fd);
  }

  /** The file has bytes that nobody waits for: they ride with the next sync, or get their own within LAZY_SYNC_MS. Hot. */
  dirtyLazily(fd: number): void {
    if (fd < 0 || this.#syncer === null) return;
    this.#files.addLazy(fd);
    this.#watch();
  }

  /**
   * The owner is done with the descriptor: calls `close` when no sync needs it any more. With `forget` what is dirty
   * in it is of no use to anybody; otherwise it is closed after the sync that covers it.
   */
  release(fd: number, forget: boolean, close: () => void): void {
    if (this.#files.release(fd, forget, close)) return;
    if (this.#files.crowded) this.#overdue = true;
    this.#watch();
  }

  /** `waiter` is told when what was written up to now is on disk; once per sync, however often it asks. Hot. */
  wait(waiter: CommitWaiter): void {
    this.#asked++;
    this.#waiting.add(waiter);
  }

  /** Who waits now waits also for what would have been synced lazily. */
  includeLazy(): void {
    this.#overdue = true;
  }

  /** Something is sent in the middle of a turn: flushes what must be in files before that. Hot. */
  flushAhead(): void {
    if (this.stuck || !this.#touched.every(mayWait)) this.#flush();
  }

  /** Flushes the touched stores and begins a sync if somebody waits and none runs. Hot. */
  endTurn(): void {
    if (this.#holds()) return;
    if (this.#touched.length > 0 || this.stuck) this.#flush();
    if (this.#stepping) return;
    if (!this.#syncing && this.#isAwaited) this.#tellUnsynced();
    if (this.#running) return;
    if (this.#isAwaited || this.#overdue) this.#advance();
    else this.#watch();
  }

  /** Flushes and syncs everything, lazy ones too; resolves when nothing is left to do, rejects with the fault. */
  drain(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#drainers.push({ resolve, reject });
      this.#advance();
    });
  }

  get #isAwaited(): boolean {
    return this.#waiting.size > 0 || this.#sealed.size > 0;
  }

  /**
   * Whether nothing is to be written yet, since consumers may settle it before it has to be; tells those for whom they
   * have. A confirm goes on meaning that what was settled before is on disk as well.
   */
  #holds(): boolean {
    const hold = this.#hold;
    if (!this.#isAwaited || this.#stepping) return false;
    const mayHold = this.#fault === null && this.#syncing && !this.#overdue && !this.stuck &&
      this.#drainers.length === 0 && !this.#files.some && hold.suits(this.#touched);
    if (this.#running) return mayHold && this.#waiting.size > 0;
    if (!mayHold) {
      hold.end();
      return false;
    }
    if (hold.active) {
      if (!hold.isSettled(HOLD_SYNCS_MAX * this.#syncMs)) return true;
      if (this.#endHold()) return true;
    }
    // Who is told may write, and wait, again.
    if (this.#waiting.size === 0 || !hold.suits(this.#touched) || !hold.begin(this.#touched)) return false;
    this.#seal();
    return true;
  }

  /** Consumers have settled what is held. True when it takes a sync of what they settled before, too. */
  #endHold(): boolean {
    const within = this.#stepping;
    this.#stepping = true;
    try {
      if (this.#files.someLazy) this.#sync(this.#files.take());
      else this.#tell();
    } catch (error) {
      this.#running = false;
      this.#fail(error);
    }
    this.#stepping = within;
    return this.#running;
  }

  /** As `endTurn`, where no turn ends. */
  #goOn(): void {
    if (!this.#holds()) this.#advance();
  }

  /** Steps until a sync runs or nothing is left to do. A loop, not a recursion: a syncer may answer within the call. */
  #advance(): void {
    if (this.#running || this.#stepping) return;
    this.#stepping = true;
    try {
      while (!this.#running && this.#step());
    } catch (error) {
      this.#running = false;
      this.#fail(error);
    }
    this.#stepping = false;
    if (!this.#running) this.#watch();
    this.#settleDrainers();
  }

  /** Those of a sync that runs go first, so that nobody overtakes anybody. */
  #tellUnsynced(): void {
    const within = this.#stepping;
    this.#stepping = true;
    try {
      this.#tell();
      // Who is told may write, and wait, again.
      for (this.#flush(); this.#waiting.size > 0 && this.#fault === null && !this.stuck; this.#flush()) {
        this.#seal();
        this.#tell();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#stepping = within;
  }

  /** True if there was something to do. */
  #step(): boolean {
    this.#hold.end();
    this.#flush();
    if (this.#fault !== null) return false;
    if (!this.#syncing) this.#tellUnsynced();
    const forced = this.#overdue || this.#drainers.length > 0;
    if (!forced && (!this.#isAwaited || this.stuck)) return false;
    if (this.#files.some || (forced && this.#files.any)) {
      this.#begin();
      return true;
    }
    this.#overdue = false;
    if (!this.#isAwaited || this.stuck) return false;
    this.#seal();
    this.#tell();
    return true;
  }

  #begin(): void {
    const fds = this.#files.take();
    this.#overdue = false;
    const mayBlock = this.#mayBlock(fds.length);
    if (!this.stuck) this.#seal();
    this.#sync(fds, mayBlock);
  }

  /** For those who are sealed. */
  #sync(fds: readonly number[], mayBlock = false): void {
    this.#begunMs = this.#nowMs();
    this.#running = true;
    this.#syncer!.sync(fds, this.#syncDone, mayBlock);
  }

  /**
   * One client that publishes, waits and publishes again is served soonest when its sync is done here and now. Once in a
   * round of the event loop: where others have something to say as well, one sync for all of them is better.
   */
  #mayBlock(fileCount: number): boolean {
    if (!this.#alone || this.#asked + this.#heldAsked !== 1 || fileCount !== 1 || this.#blocked || this.stuck) {
      return false;
    }
    this.#blocked = true;
    setImmediate(this.#unblock);
    return true;
  }

  #finish(fault: Error | null): void {
    this.#syncMs += (this.#nowMs() - this.#begunMs - this.#syncMs) / SYNCS_REMEMBERED;
    this.#alone = this.#covered === 1 && this.#waiting.size === 0;
    const within = this.#stepping;
    this.#stepping = true;
    this.#files.landed();
    try {
      if (fault !== null) this.#fail(fault);
      this.#tell();
      this.#files.close();
    } catch (error) {
      this.#fail(error);
    }
    this.#running = false;
    this.#stepping = within;
    this.#goOn();
  }

  /** Every touched store is flushed, whatever becomes of the others; then the first error is the fault. Hot. */
  #flush(): void {
    const touched = this.#touched;
    let failure: unknown = null;
    if (this.stuck) touched.unshift(...this.#stuck.splice(0));
    // A flush may touch other stores, which then stand further back.
    for (let i = 0; i < touched.length; i++) {
      try {
        touched[i]!.flush();
      } catch (error) {
        if (!this.#waits(touched[i]!, error)) failure ??= error;
      }
    }
    touched.length = 0;
    if (failure !== null) this.#fail(failure);
  }

  /** Whether a store whose flush failed is to try again: the disk was full, and it still has what it could not write. */
  #waits(store: Flushable, error: unknown): boolean {
    if (!isDiskFull(error)) return false;
    try {
      if (this.#makeRoom()) {
        store.flush();
        return true;
      }
    } catch (again) {
      if (!isDiskFull(again)) return false;
    }
    this.#stuckFault = error as Error;
    if (!this.#stuck.includes(store)) this.#stuck.push(store);
    return true;
  }

  /** What waits now is covered by the sync that begins; whoever waits from here on belongs to the next one. */
  #seal(): void {
    this.#covered = this.#asked + this.#heldAsked;
    this.#asked = 0;
    const waiters = this.#waiting;
    for (const waiter of waiters) waiter.seal();
    if (this.#sealed.size === 0) {
      this.#waiting = this.#sealed;
      this.#sealed = waiters;
    } else {
      for (const waiter of waiters) this.#sealed.add(waiter);
      waiters.clear();
    }
  }

  /** How often was waited by those who are held: they are sealed, and no sync runs for them yet. */
  get #heldAsked(): number {
    return this.#sealed.size > 0 && !this.#running ? this.#covered : 0;
  }

  #tell(): void {
    for (const waiter of this.#sealed) {
      if (this.#fault !== null) break;
      waiter.durable();
    }
    this.#sealed.clear();
  }

  #fail(error: unknown): void {
    if (this.#fault !== null) return;
    this.#fault = error instanceof Error ? error : new Error(String(error));
    this.#onFault(this.#fault);
  }

  #settleDrainers(): void {
    const fault = this.#fault ?? (this.stuck ? this.#stuckFault : null);
    if (this.#drainers.length === 0 || (fault === null && this.busy) || (this.#fault === null && this.#running)) return;
    const drainers = this.#drainers;
    this.#drainers = [];
    this.#stopTimer();
    for (const drainer of drainers) {
      if (fault === null) drainer.resolve();
      else drainer.reject(fault);
    }
  }

  /** What is dirty and nobody waits for gets a sync in a while. The timer never keeps a process alive. */
  #watch(): void {
    if (this.#timer !== null || (!this.#files.any && !this.stuck)) return;
    this.#timer = setTimeout(this.#timeUp, this.#lazySyncMs);
    this.#timer.unref();
  }

  #stopTimer(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }
}
