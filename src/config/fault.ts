// What an operator wrote cannot be used. The message says which option, where it came from, and what was expected.

export class ConfigFault extends Error {
  override readonly name = "ConfigFault";
}
