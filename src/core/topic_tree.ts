// Which bindings match a topic: a trie over the words of the patterns, walked with all alternatives at once, so that a
// pattern of many `#` costs its length times the topic's, never more.

class Node<T> {
  readonly children = new Map<string, Node<T>>();
  readonly values: T[] = [];
  /** A `#` node goes on matching at every further word. */
  readonly isHash: boolean;
  /** The walk in which this node was last entered, and at which word: so that it is entered once. */
  seenWalk = 0;
  seenDepth = -1;

  constructor(isHash: boolean) {
    this.isHash = isHash;
  }
}

export class TopicTree<T> {
  #root = new Node<T>(false);
  #walk = 0;

  /** Adds `value` under a pattern of words between dots, where `*` is one word and `#` any number. */
  add(pattern: string, value: T): void {
    let node = this.#root;
    for (const word of wordsOf(pattern)) {
      let child = node.children.get(word);
      if (child === undefined) node.children.set(word, child = new Node(word === "#"));
      node = child;
    }
    node.values.push(value);
  }

  /** Removes one `value` under `pattern` and the nodes that nothing needs any more; false when it is not there. */
  remove(pattern: string, value: T): boolean {
    const words = wordsOf(pattern);
    const path = [this.#root];
    for (const word of words) {
      const child = path.at(-1)!.children.get(word);
      if (child === undefined) return false;
      path.push(child);
    }
    const values = path.at(-1)!.values;
    const index = values.indexOf(value);
    if (index < 0) return false;
    values.splice(index, 1);
    for (let depth = words.length; depth > 0; depth--) {
      const node = path[depth]!;
      if (node.values.length > 0 || node.children.size > 0) break;
      path[depth - 1]!.children.delete(words[depth - 1]!);
    }
    return true;
  }

  /** Calls `visit` for each value whose pattern matches `topic`, in no particular order. */
  match(topic: string, visit: (value: T) => void): void {
    const walk = ++this.#walk;
    let active: Node<T>[] = [];
    enter(this.#root, active, walk, 0);
    const words = wordsOf(topic);
    for (let index = 0; index < words.length; index++) {
      const next: Node<T>[] = [];
      const word = words[index]!;
      for (const node of active) {
        if (node.isHash) enter(node, next, walk, index + 1);
        const exact = node.children.get(word);
        // A topic may hold the words * and # themselves; they name the wildcard nodes, which are entered anyway.
        if (exact !== undefined && word !== "*" && word !== "#") enter(exact, next, walk, index + 1);
        const star = node.children.get("*");
        if (star !== undefined) enter(star, next, walk, index + 1);
      }
      active = next;
    }
    for (const node of active) {
      for (const value of node.values) visit(value);
    }
  }
}

/** An empty key has no words, not an empty one: `*` does not match it. */
function wordsOf(key: string): string[] {
  return key === "" ? [] : key.split(".");
}

/** Makes `node` active after `depth` words, and its `#` child too, which may stand for no word at all. */
function enter<T>(node: Node<T>, active: Node<T>[], walk: number, depth: number): void {
  for (let entered: Node<T> | undefined = node; entered !== undefined; entered = entered.children.get("#")) {
    if (entered.seenWalk === walk && entered.seenDepth === depth) return;
    entered.seenWalk = walk;
    entered.seenDepth = depth;
    active.push(entered);
  }
}
