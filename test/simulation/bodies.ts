// Bodies that tell which message they belong to, and whether they are whole.

/** An id, and an id again. */
export const FILLER_FROM = 8;

export function fillerAt(id: number, at: number): number {
  return (Math.imul(id, 0x9e3779b1) >>> ((at & 3) * 8) ^ (at >>> 2)) & 0xff;
}

/** `bytes` is 8 or more. */
export function bodyOf(id: number, bytes: number): Uint8Array {
  const body = new Uint8Array(bytes);
  const view = new DataView(body.buffer);
  view.setUint32(0, id);
  view.setUint32(4, ~id >>> 0);
  for (let at = FILLER_FROM; at < bytes; at++) body[at] = fillerAt(id, at);
  return body;
}

/** -1 where there is none. */
export function idOf(body: Uint8Array): number {
  if (body.length < FILLER_FROM) return -1;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const id = view.getUint32(0);
  return view.getUint32(4) === (~id >>> 0) ? id : -1;
}
