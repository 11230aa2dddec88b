// Server-sent events out of the text that brings them, however it is cut.

export class EventParser {
  readonly #event: (kind: string, data: string) => void;
  #rest = "";

  constructor(event: (kind: string, data: string) => void) {
    this.#event = event;
  }

  push(text: string): void {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop()!;
    for (const block of blocks) this.#take(block);
  }

  #take(block: string): void {
    let kind = "message";
    let data: string | null = null;
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) kind = line.slice("event: ".length);
      else if (line.startsWith("data: ")) data = (data === null ? "" : `${data}\n`) + line.slice("data: ".length);
    }
    // Without data it is a sign of life.
    if (data !== null) this.#event(kind, data);
  }
}
