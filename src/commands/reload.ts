// SIGHUP: the settings are read again, and those that may change while the broker runs are changed.

import {
  LIVE_OPTIONS,
  type LiveOptionName,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  type OptionValues,
} from "../config/options.ts";

export const SYNC_IS_OFF = "sync is off: what is confirmed may be lost when the power goes";

export interface ReloadActions {
  /** Reads the certificate again; whether there is another one. Rejects when it cannot be used. */
  renewCertificate(): Promise<boolean>;
  apply(values: Pick<OptionValues, LiveOptionName>): void;
  log(level: OptionValues["logLevel"]): void;
  info(text: string): void;
  warn(text: string): void;
}

export class Reload {
  #values: Readonly<OptionValues>;
  readonly #read: () => Readonly<OptionValues>;
  readonly #actions: ReloadActions;

  /** `values` are those that hold; `read` gives those that should, or throws. */
  constructor(values: Readonly<OptionValues>, read: () => Readonly<OptionValues>, actions: ReloadActions) {
    this.#values = values;
    this.#read = read;
    this.#actions = actions;
  }

  /** A setting that cannot be read leaves all as they are: a running broker does not stop for a typing error. */
  async run(): Promise<void> {
    const { apply, log, info, warn, renewCertificate } = this.#actions;
    let next: Readonly<OptionValues>;
    try {
      next = this.#read();
    } catch (error) {
      return warn(`SIGHUP: the settings stay as they are: ${(error as Error).message}`);
    }
    const changed = OPTION_NAMES.filter((name) => next[name] !== this.#values[name]);
    const live = changed.filter(isLive);
    this.#values = { ...this.#values, ...Object.fromEntries(live.map((name) => [name, next[name]])) };
    log(this.#values.logLevel);
    apply(this.#values);
    if (live.length === 0) info("SIGHUP: no setting has changed");
    try {
      if (await renewCertificate()) info("SIGHUP: the certificate has been read anew");
    } catch (error) {
      warn(`SIGHUP: the certificate stays as it is: ${(error as Error).message}`);
    }
    for (const name of live) info(`SIGHUP: ${placeOf(name)} is ${next[name]} now`);
    for (const name of changed) if (!isLive(name)) warn(`SIGHUP: ${placeOf(name)} has changed, which takes a restart`);
    if (live.includes("sync") && !next.sync) warn(SYNC_IS_OFF);
  }
}

function isLive(name: OptionName): name is LiveOptionName {
  return LIVE_OPTIONS.some((live) => live === name);
}

function placeOf(name: OptionName): string {
  return `[${OPTIONS[name].section}] ${OPTIONS[name].key}`;
}
