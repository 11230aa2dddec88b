// Which bindings match a topic: a trie over the words of the patterns, walked with all alternatives at once, so that a
// pattern of many `#` costs its length times the topic's, never more.

class Node<T> {
  /** Null until it has some: most nodes are leaves. */
  children: Map<string, Node<T>> | null = null;
  value: T | undefined = undefined;
  /** A `#` node goes on matching at every further word. */
  readonly isHash: boolean;
  /** The walk in which this node was last entered, and at which word: so that it is entered once. */
  seenWalk = 0;
  seenDepth = -1;

  constructor(isHash: boolean) {
    this.isHash = isHash;
  }
}

/** A value for each pattern of words between dots, where `*` is one word and `#` any number. */
export class TopicTree<T> {
  readonly #root = new Node<T>(false);
  #walk = 0;

  get(pattern: string): T | undefined {
    let node: Node<T> | undefined = this.#root;
    for (const word of wordsOf(pattern)) {
      node = node.children?.get(word);
      if (node === undefined) return undefined;
    }
    return node.value;
  }

  set(pattern: string, value: T): void {
    let node = this.#root;
    for (const word of wordsOf(pattern)) {
      const children: Map<string, Node<T>> = node.children ??= new Map();
      let child = children.get(word);
      if (child === undefined) children.set(word, child = new Node(word === "#"));
      node = child;
    }
    node.value = value;
  }

  /** Removes the value and the nodes that nothing needs any more; false when there is none. */
  delete(pattern: string): boolean {
    const words = wordsOf(pattern);
    const path = [this.#root];
    for (const word of words) {
      const child = path.at(-1)!.children?.get(word);
      if (child === undefined) return false;
      path.push(child);
    }
    const last = path.at(-1)!;
    if (last.value === undefined) return false;
    last.value = undefined;
    for (let depth = words.length; depth > 0; depth--) {
      const node = path[depth]!;
      if (node.value !== undefined || node.children !== null) break;
      const parent = path[depth - 1]!;
      parent.children!.delete(words[depth - 1]!);
      if (parent.children!.size === 0) parent.children = null;
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
        const { children } = node;
        if (children === null) continue;
        const exact = children.get(word);
        // A topic may hold the words * and # themselves; they name the wildcard nodes, which are entered anyway.
        if (exact !== undefined && word !== "*" && word !== "#") enter(exact, next, walk, index + 1);
        const star = children.get("*");
        if (star !== undefined) enter(star, next, walk, index + 1);
      }
      active = next;
    }
    for (const { value } of active) if (value !== undefined) visit(value);
  }
}

/** An empty key has no words, not an empty one: `*` does not match it. */
function wordsOf(key: string): string[] {
  return key === "" ? [] : key.split(".");
}

/** Makes `node` active after `depth` words, and its `#` child too, which may stand for no word at all. */
function enter<T>(node: Node<T>, active: Node<T>[], walk: number, depth: number): void {
  for (let entered: Node<T> | undefined = node; entered !== undefined; entered = entered.children?.get("#")) {
    if (entered.seenWalk === walk && entered.seenDepth === depth) return;
    entered.seenWalk = walk;
    entered.seenDepth = depth;
    active.push(entered);
  }
}
