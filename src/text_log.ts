// Loggers for finished texts: braces in what a client calls itself mean nothing.

import type { Logger } from "@logtape/logtape";
import type { Log } from "./amqp/services.ts";

export function textLog(logger: Logger): Log {
  return {
    debug: (text) => logger.debug("{text}", { text }),
    info: (text) => logger.info("{text}", { text }),
    warn: (text) => logger.warn("{text}", { text }),
    error: (text) => logger.error("{text}", { text }),
  };
}
