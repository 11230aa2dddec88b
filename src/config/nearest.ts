// "Did you mean ...?": the known name that needs the fewest edits to become the one that was written.

/** Edits (insert, delete, replace a character) from `one` to `other`. */
export function editDistance(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const replaced = previous[column - 1]! + (one[row - 1] === other[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[other.length]!;
}

/** The one of `known` that is nearest to `written`; null when there is none. The first wins among equals. */
export function nearest(written: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const name of known) {
    const distance = editDistance(written.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

/** "; did you mean 'name'?", or nothing when nothing is known. */
export function suggestion(written: string, known: readonly string[]): string {
  const name = nearest(written, known);
  return name === null ? "" : `; did you mean '${name}'?`;
}
