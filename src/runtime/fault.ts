// What goes wrong at the seam: faults of the network and of files, each with the thing it happened to.

/** A listener could not be opened: `host:port` and why. */
export class ListenFault extends Error {
  override readonly name = "ListenFault";
}

/** A connection could not be opened: `host:port` and why. */
export class ConnectFault extends Error {
  override readonly name = "ConnectFault";
}

/** A certificate or its key cannot be used: which file, and what is wrong with it. */
export class TlsFault extends Error {
  override readonly name = "TlsFault";
}

/** An operation on a file failed. `code` is errno's name (ENOSPC, EIO, ...) where one is known. */
export class FileFault extends Error {
  override readonly name = "FileFault";
  readonly operation: string;
  readonly path: string;
  readonly code: string;

  constructor(operation: string, path: string, code: string, detail = "") {
    super(`${operation} ${path}: ${code}${detail === "" ? "" : ` (${detail})`}`);
    this.operation = operation;
    this.path = path;
    this.code = code;
  }
}
