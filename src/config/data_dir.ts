// Where data is kept when nobody says where: a place that can be written without being root.

import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

const SERVICE_DATA_DIR = "/var/lib/leveret";

/**
 * /var/lib/leveret where it exists and can be written (a package made it for the service), else
 * $XDG_DATA_HOME/leveret, else ~/.local/share/leveret, else ./leveret-data.
 */
export function defaultDataDir(
  environment: Readonly<Record<string, string | undefined>>,
  service = SERVICE_DATA_DIR,
): string {
  if (isWritableDirectory(service)) return service;
  if (environment["XDG_DATA_HOME"]) return join(environment["XDG_DATA_HOME"], "leveret");
  if (environment["HOME"]) return join(environment["HOME"], ".local/share/leveret");
  return "leveret-data";
}

function isWritableDirectory(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
