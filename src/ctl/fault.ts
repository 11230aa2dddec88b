// How a command of ctl ends when it could not do what it was asked: one line, and an exit code for scripts.

/** Refused by the broker, or there is no such thing. */
export const EXIT_REFUSED = 1;
/** The command line makes no sense. */
export const EXIT_USAGE = 2;
/** The broker cannot be reached: EX_UNAVAILABLE of sysexits.h. */
export const EXIT_UNREACHABLE = 69;

export class CtlFault extends Error {
  override readonly name = "CtlFault";
  readonly exitCode: number;

  constructor(text: string, exitCode: number = EXIT_REFUSED) {
    super(text);
    this.exitCode = exitCode;
  }
}

export function usageFault(text: string): CtlFault {
  return new CtlFault(text, EXIT_USAGE);
}
