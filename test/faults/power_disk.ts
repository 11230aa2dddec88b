// A disk whose power can be cut: a filesystem in an image file, which lies on a filesystem that shares blocks between
// files. A shared copy of the image, made in an instant, is what the disk held at that moment; what was only in the
// page cache is not in it. Writes that the device itself would have reordered are not.
//
//   base/host.img  xfs or btrfs, mounted at  base/host/, in which are
//       disk.img   ext4 or xfs, mounted at   base/disk/
//       cut-N.img  a copy of it, mounted at  base/cut-N/

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasProgram } from "./needs.ts";
import type { Releases } from "./releases.ts";

const HOST_BYTES = "4G";
const DISK_BYTES = "768M";
/** In memory the syncs cost little, and more happens between two cuts. */
const MEMORY_DIRECTORY = "/dev/shm";
const MEMORY_BYTES_MIN = 6 * 2 ** 30;
const UNMOUNT_TRIES = 20;

/** What the broker's directory lies on. */
export type FileSystem = "ext4" | "xfs";

/** Those that can be made here. */
export function fileSystems(): FileSystem[] {
  return hasProgram("mkfs.xfs", "-V") ? ["ext4", "xfs"] : ["ext4"];
}

export class PowerDisk {
  readonly #releases: Releases;
  readonly #base: string;
  #lastCut = 0;
  #isXfs = false;

  constructor(releases: Releases) {
    this.#releases = releases;
    const base = this.#base = mkdtempSync(join(placeForImages(), "leveret-power-"));
    releases.add(base, () => rmSync(base, { recursive: true, force: true }));
    const image = join(base, "host.img");
    run("truncate", "-s", HOST_BYTES, image);
    if (hasProgram("mkfs.xfs", "-V")) run("mkfs.xfs", "-q", "-m", "reflink=1", image);
    else run("mkfs.btrfs", "-q", image);
    this.#mount(image, "host");
  }

  /** A new, empty disk, mounted; returns where. The one before is gone. */
  fresh(fileSystem: FileSystem): string {
    const image = this.#image("disk");
    rmSync(image, { force: true });
    run("truncate", "-s", DISK_BYTES, image);
    if (fileSystem === "xfs") run("mkfs.xfs", "-q", image);
    else run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image);
    this.#isXfs = fileSystem === "xfs";
    return this.#mount(image, "disk").path;
  }

  /** What cuts the power of the disk, or of a cut that is mounted: a program, and where its image will be. */
  cutCommand(of = "disk"): { program: string; args: string[]; name: string } {
    const name = `cut-${++this.#lastCut}`;
    return { program: "cp", args: ["--reflink=always", this.#image(of), this.#image(name)], name };
  }

  /** Mounts what a cut left, as after the power came back. */
  mountCut(name: string): { path: string; remove: () => void } {
    const { path, unmount } = this.#mount(this.#image(name), name);
    return {
      path,
      remove: () => {
        unmount();
        rmSync(this.#image(name));
      },
    };
  }

  unmountDisk(): void {
    unmount(join(this.#base, "disk"));
  }

  #image(name: string): string {
    return join(this.#base, "host", `${name}.img`);
  }

  #mount(image: string, name: string): { path: string; unmount: () => void } {
    const path = join(this.#base, name);
    mkdirSync(path, { recursive: true });
    // A cut has the same id as the disk that it is of.
    run("mount", "-o", this.#isXfs ? "loop,nouuid" : "loop", image, path);
    this.#releases.add(path, () => unmount(path));
    return { path, unmount: () => unmount(path) };
  }
}

/** Idempotent. Who had it open may need a moment to be gone. */
function unmount(path: string): void {
  for (let left = UNMOUNT_TRIES; existsSync(path) && spawnSync("mountpoint", ["-q", path]).status === 0; left--) {
    const { status, stderr } = spawnSync("umount", [path], { encoding: "utf8" });
    if (status === 0) return;
    if (left === 0) throw new Error(`umount ${path}: ${stderr}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
}

function placeForImages(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY_DIRECTORY);
    if (bavail * bsize >= MEMORY_BYTES_MIN) return MEMORY_DIRECTORY;
  } catch {
    // None.
  }
  return tmpdir();
}

export function run(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (error !== undefined || status !== 0) {
    throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? `${status} ${stderr}`}`);
  }
}
