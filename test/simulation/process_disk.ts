// Small files and directories of one simulated process, as node:fs shows them.

import type { Disk, Stat } from "../../src/runtime/disk.ts";
import { errno, namesOf, type SimProcess } from "./process.ts";
import { SimDirectory, SimFile, type SimNode } from "./sim_disk.ts";

/** Where Linux tells one start of the machine from another. */
const BOOT_PATH = "/proc/sys/kernel/random/boot_id";

function bootId(boots: number): string {
  return `00000000-0000-0000-0000-${String(boots).padStart(12, "0")}\n`;
}

export function diskOf(process: SimProcess): Disk {
  const { medium } = process;
  const place = (path: string): { parent: SimDirectory; name: string } => {
    const names = namesOf(path);
    const name = names.pop() ?? "";
    return { parent: process.directory(`/${names.join("/")}`), name };
  };
  const expectFile = (path: string): SimFile => {
    const node = process.find(path);
    if (node instanceof SimFile) return node;
    throw errno(node === null ? "ENOENT" : "EISDIR", path);
  };
  const create = (path: string): SimFile => {
    const { parent, name } = place(path);
    const file = new SimFile();
    medium.link(parent, name, file);
    medium.touched(file);
    return file;
  };
  const sync = (node: SimNode): void => medium.beginSync(node)(false);
  const removeBelow = (directory: SimDirectory, path: string): void => {
    for (const [name, node] of [...directory.entries]) {
      if (node instanceof SimDirectory) removeBelow(node, `${path}/${name}`);
      process.whole("unlink", `${path}/${name}`);
      medium.unlink(directory, name);
    }
  };
  const disk: Disk = {
    open(path, flags) {
      if (flags !== "w+") {
        const node = process.find(path);
        if (node === null) throw errno("ENOENT", path);
        return process.describe(flags === "r" ? node : expectFile(path));
      }
      process.whole("create", path);
      const present = process.find(path);
      const file = present === null ? create(path) : expectFile(path);
      file.resize(0);
      return process.describe(file);
    },
    close: (fd) => process.release(fd),
    read(fd, bytes, to, count, at) {
      const file = process.fileOf(fd);
      const found = Math.max(0, Math.min(count, file.size - at));
      bytes.set(file.cache.subarray(at, at + found), to);
      return found;
    },
    write(fd, bytes, from, count, at) {
      process.write(process.fileOf(fd), "log", bytes, from, count, at);
      return count;
    },
    truncate(fd, bytes) {
      const file = process.fileOf(fd);
      process.whole("truncate", "log");
      file.resize(bytes);
      medium.touched(file);
    },
    sync(fd) {
      const node = process.nodeOf(fd);
      process.whole("fsync", "log");
      sync(node);
    },
    readFile(path) {
      if (path === BOOT_PATH) return new TextEncoder().encode(bootId(medium.boots));
      const node = process.find(path);
      return node === null ? null : expectFile(path).cache.slice(0, (node as SimFile).size);
    },
    writeFile(path, bytes) {
      const fd = disk.open(path, "w+");
      disk.write(fd, bytes, 0, bytes.length, 0);
      disk.close(fd);
    },
    copyFile(path, to) {
      if (process.find(to) !== null) throw errno("EEXIST", to);
      disk.writeFile(to, disk.readFile(path)!);
    },
    stat(path): Stat | null {
      const node = process.find(path);
      return node && { isDirectory: node instanceof SimDirectory, bytes: node instanceof SimFile ? node.size : 0 };
    },
    rename(from, to) {
      process.whole("rename", to);
      if (process.find(from) === null) throw errno("ENOENT", from);
      const [source, target] = [place(from), place(to)];
      medium.rename(source.parent, source.name, target.parent, target.name);
    },
    link(path, to) {
      if (process.find(to) !== null) throw errno("EEXIST", to);
      const file = expectFile(path);
      process.whole("link", to);
      const { parent, name } = place(to);
      medium.link(parent, name, file);
    },
    remove(path) {
      if (process.find(path) === null) return;
      expectFile(path);
      process.whole("unlink", path);
      const { parent, name } = place(path);
      medium.unlink(parent, name);
    },
    makeDirectory(path) {
      let first: string | null = null;
      let at = "";
      for (const name of namesOf(path)) {
        const parent = process.directory(at === "" ? "/" : at);
        at = `${at}/${name}`;
        if (parent.entries.has(name)) continue;
        process.whole("mkdir", at);
        medium.link(parent, name, new SimDirectory());
        first ??= at;
      }
      return first;
    },
    makePrivate: (path) => void process.directory(path),
    list: (path) => [...process.directory(path).entries.keys()],
    entries(path) {
      return [...process.directory(path).entries].map(([name, node]) => {
        return { name, kind: node instanceof SimDirectory ? "directory" : "file" };
      });
    },
    listDirectories(path) {
      return [...process.directory(path).entries].filter(([, node]) => node instanceof SimDirectory).map(([name]) =>
        name
      );
    },
    removeTree(path) {
      const node = process.find(path);
      if (node === null) return;
      if (node instanceof SimDirectory) removeBelow(node, path);
      process.whole("unlink", path);
      const { parent, name } = place(path);
      medium.unlink(parent, name);
    },
    syncDirectory(path) {
      process.whole("fsync", path);
      sync(process.directory(path));
    },
    freeBytes: () => 2 ** 40,
  };
  return disk;
}
