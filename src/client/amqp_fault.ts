// What goes wrong on a client connection, with the reply code and text that the broker gave.

/** The broker, or what we found on the wire, ended a connection or a channel. */
export class AmqpFault extends Error {
  override readonly name = "AmqpFault";
  /** AMQP's reply code; 0 when the connection ended without one. */
  readonly code: number;
  readonly text: string;

  constructor(code: number, text: string) {
    super(code === 0 || text.startsWith(`${code}`) ? text : `${code} ${text}`);
    this.code = code;
    this.text = text;
  }
}
