// MQTT's strings: whether bytes are the UTF-8 that it allows, and what a topic name and a topic filter may look like.

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const PLUS = 0x2b;
const HASH = 0x23;
const SLASH = 0x2f;
const SHARE = "$share/";

/** Well-formed UTF-8 without U+0000 [MQTT-1.5.4-1, MQTT-1.5.4-2]. Hot for topics. */
export function isMqttText(bytes: Uint8Array, at: number, size: number): boolean {
  const end = at + size;
  while (at < end) {
    const octet = bytes[at]!;
    if (octet < 0x80) {
      if (octet === 0) return false;
      at++;
      continue;
    }
    const count = continuationsAt(bytes, at, end);
    if (count === 0) return false;
    at += 1 + count;
  }
  return true;
}

/** How many octets follow the first one of a character beyond ASCII; 0 when it is none. */
function continuationsAt(bytes: Uint8Array, at: number, end: number): number {
  const octet = bytes[at]!;
  if (octet < 0xc2 || octet > 0xf4) return 0;
  const count = octet < 0xe0 ? 1 : octet < 0xf0 ? 2 : 3;
  if (at + count >= end) return 0;
  const second = bytes[at + 1]!;
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  const least = octet === 0xe0 ? 0xa0 : octet === 0xf0 ? 0x90 : 0x80;
  const most = octet === 0xed ? 0x9f : octet === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let index = 2; index <= count; index++) if ((bytes[at + index]! & 0xc0) !== 0x80) return 0;
  return count;
}

/** The text of bytes that `isMqttText` has passed. */
export function mqttText(bytes: Uint8Array, at: number, size: number): string {
  return DECODER.decode(bytes.subarray(at, at + size));
}

/** A name to publish to: at least one character, no wildcards [MQTT-4.7.3-1, MQTT-3.3.2-2]. Hot. */
export function isTopicName(bytes: Uint8Array, at: number, size: number): boolean {
  if (size === 0) return false;
  for (let index = at; index < at + size; index++) {
    const octet = bytes[index]!;
    if (octet === PLUS || octet === HASH) return false;
  }
  return true;
}

/** `+` is a whole level, `#` is the last one [MQTT-4.7.1-1, MQTT-4.7.1-2]. */
export function isTopicFilter(filter: string): boolean {
  if (filter === "") return false;
  const levels = filter.split("/");
  for (const [index, level] of levels.entries()) {
    if (level === "+" || (level === "#" && index === levels.length - 1)) continue;
    if (level.includes("+") || level.includes("#")) return false;
  }
  return true;
}

/** Levels of a topic. Hot. */
export function levelsOf(bytes: Uint8Array, at: number, size: number): number {
  let levels = 1;
  for (let index = at; index < at + size; index++) if (bytes[index] === SLASH) levels++;
  return levels;
}

/** `$share/group/filter`. */
export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

/** Null when it is no shared subscription; "invalid" when it wants to be one and is not [MQTT-4.8.2-1, MQTT-4.8.2-2]. */
export function sharedFilter(text: string): SharedFilter | "invalid" | null {
  if (text !== "$share" && !text.startsWith(SHARE)) return null;
  const slash = text.indexOf("/", SHARE.length);
  if (slash <= SHARE.length) return "invalid";
  const group = text.slice(SHARE.length, slash);
  const filter = text.slice(slash + 1);
  if (/[+#]/.test(group) || !isTopicFilter(filter)) return "invalid";
  return { group, filter };
}
