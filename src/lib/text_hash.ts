// A hash of text that is the same in every process and version: consistent hashing must lead to the same queue after a
// restart. FNV-1a over UTF-16 code units, its bits mixed at the end as MurmurHash3 does.

/** An unsigned 32-bit integer. */
export function textHash(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ mixBits(seed);
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixBits(hash);
}

/** Spreads every bit of a 32-bit integer over all bits of the unsigned result. */
export function mixBits(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
