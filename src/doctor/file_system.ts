// What kind of file system a directory is on, and whether messages are safe there.

import { statfsSync } from "node:fs";

export interface FileSystem {
  /** "ext4"; the number in hexadecimal for one that we do not know. */
  readonly name: string;
  /** Null when it is good. */
  readonly warning: string | null;
}

const NETWORK = "on a network file system a sync may promise what the server does not keep, and locks may not hold";
const MEMORY = "it is memory: nothing survives a power cut";
const COPY_ON_WRITE = "it copies on write: allocated files can still meet a full disk, and many small syncs are slow";
const LAYERED = "it is a layer of a container: put the data directory on a volume";
const PROXY = "whether a sync reaches a disk is up to the program behind it";

/** By the number that statfs(2) gives. */
const KNOWN: Readonly<Record<number, readonly [string, string | null]>> = {
  0xef53: ["ext4", null],
  0x58465342: ["xfs", null],
  0xf2f52010: ["f2fs", null],
  0x9123683e: ["btrfs", COPY_ON_WRITE],
  0x2fc12fc1: ["zfs", COPY_ON_WRITE],
  0x01021994: ["tmpfs", MEMORY],
  0x858458f6: ["ramfs", MEMORY],
  0x6969: ["nfs", NETWORK],
  0xff534d42: ["cifs", NETWORK],
  0xfe534d42: ["smb2", NETWORK],
  0x00c36400: ["ceph", NETWORK],
  0x01021997: ["9p", PROXY],
  0x65735546: ["fuse", PROXY],
  0x786f4256: ["vboxsf", PROXY],
  0x794c7630: ["overlay", LAYERED],
};

export function fileSystemOf(path: string): FileSystem {
  return describeFileSystem(statfsSync(path).type);
}

export function describeFileSystem(type: number): FileSystem {
  // Some runtimes give the number with a sign.
  const [name, warning] = KNOWN[type >>> 0] ??
    [`0x${(type >>> 0).toString(16)}`, "it is none that Leveret is tested on"];
  return { name, warning };
}
