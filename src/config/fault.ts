// What an operator wrote cannot be used. The message says which option, where it came from, and what was expected.

export class ConfigFault extends Error {
  override readonly name = "ConfigFault";

  /** What is quoted in `message` may hold anything: control characters are shown, not sent to a terminal or a log. */
  constructor(message: string) {
    super(message.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`));
  }
}
