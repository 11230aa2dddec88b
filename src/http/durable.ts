// An answer means what it says: what is declared or published is on disk before it is sent.

import { created, noContent } from "./json.ts";
import type { HttpServices } from "./services.ts";

type Disk = Pick<HttpServices, "commit" | "turn">;

/** Resolves when everything that was written so far is on disk. */
export function onDisk({ commit, turn }: Disk): Promise<void> {
  return new Promise((resolve) => {
    commit.wait({ seal: () => {}, durable: resolve });
    turn.schedule();
  });
}

/** 201 for something new, 204 for what was there or is gone; after the disk has it, where it is to. */
export async function declared(services: Disk, before: boolean, durable: boolean): Promise<Response> {
  if (durable) await onDisk(services);
  else services.turn.schedule();
  return before ? noContent() : created();
}
