// An exclusive lock on a file between processes. By flock where libc is to be had: it goes with the process, however
// that ends. Elsewhere by a file that names its owner, which counts only as long as that process lives.

import fs from "node:fs";
import process from "node:process";
import { errnoName, errorCode, fileFault } from "./errno.ts";
import { FileFault } from "./fault.ts";
import type { Libc } from "./libc.ts";
import type { FileLock } from "./runtime.ts";

/** Locks `path`, which is created if need be; null when somebody else has it. Throws a FileFault. */
export function lockFile(path: string, libc: Libc | null): FileLock | null {
  try {
    return libc === null ? lockByOwner(path) : lockByDescriptor(path, libc);
  } catch (error) {
    throw fileFault("lock", path, error);
  }
}

/** The same for a file that is there, without a change to it. */
export function lockFoundFile(path: string, libc: Libc | null): FileLock | null {
  try {
    const fd = fs.openSync(path, "r");
    if (libc !== null) return lockDescriptor(path, fd, libc);
    fs.closeSync(fd);
    return isAlive(Number.parseInt(fs.readFileSync(path, "latin1"), 10)) ? null : { release() {} };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return { release() {} };
    throw fileFault("lock", path, error);
  }
}

/** The file stays when the lock is released: removing it would let two processes lock two files of one name. */
function lockByDescriptor(path: string, libc: Libc): FileLock | null {
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  const lock = lockDescriptor(path, fd, libc);
  if (lock === null) return null;
  // For the human who looks at it.
  fs.ftruncateSync(fd, 0);
  fs.writeSync(fd, `${process.pid}\n`);
  return lock;
}

/** Takes over the descriptor. */
function lockDescriptor(path: string, descriptor: number, libc: Libc): FileLock | null {
  let fd = descriptor;
  const errno = libc.lock(fd);
  if (errno !== 0) {
    fs.closeSync(fd);
    const code = errnoName(errno);
    if (code === "EAGAIN" || code === "EWOULDBLOCK") return null;
    throw new FileFault("lock", path, code);
  }
  return {
    release() {
      if (fd >= 0) fs.closeSync(fd);
      fd = -1;
    },
  };
}

function lockByOwner(path: string): FileLock | null {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      fs.writeFileSync(path, `${process.pid}\n`, { flag: "wx", mode: 0o600 });
      return { release: () => fs.rmSync(path, { force: true }) };
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
    if (isAlive(Number.parseInt(fs.readFileSync(path, "latin1"), 10))) return null;
    fs.rmSync(path, { force: true });
  }
  return null;
}

/** A file without a number may be one that is just being written: somebody has it. */
function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}
