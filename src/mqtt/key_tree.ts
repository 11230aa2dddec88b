// Values by routing key, found by pattern: the other way round than core/topic_tree.ts, where patterns are stored and a
// key comes along. Costs what it finds, not what there is.

class Node<T> {
  children: Map<string, Node<T>> | null = null;
  value: T | undefined = undefined;
}

export class KeyTree<T> {
  readonly #root = new Node<T>();

  set(key: string, value: T): void {
    let node = this.#root;
    for (const word of key.split(".")) {
      const children: Map<string, Node<T>> = node.children ??= new Map();
      let child = children.get(word);
      if (child === undefined) children.set(word, child = new Node());
      node = child;
    }
    node.value = value;
  }

  /** Removes the value and the nodes that nothing needs any more. */
  delete(key: string): void {
    const words = key.split(".");
    const path = [this.#root];
    for (const word of words) {
      const child = path.at(-1)!.children?.get(word);
      if (child === undefined) return;
      path.push(child);
    }
    path.at(-1)!.value = undefined;
    for (let depth = words.length; depth > 0; depth--) {
      const node = path[depth]!;
      if (node.value !== undefined || node.children !== null) break;
      const parent = path[depth - 1]!;
      parent.children!.delete(words[depth - 1]!);
      if (parent.children!.size === 0) parent.children = null;
    }
  }

  /** The values whose keys a topic filter's pattern matches; its wildcards never stand for a first word with `$`. */
  match(pattern: string): T[] {
    const found: T[] = [];
    const parts = pattern.split(".");
    const walk = (node: Node<T>, depth: number): void => {
      if (depth === parts.length) {
        if (node.value !== undefined) found.push(node.value);
        return;
      }
      const part = parts[depth]!;
      if (part === "#") return collect(node, depth === 0, found);
      if (node.children === null) return;
      if (part !== "*") {
        const child = node.children.get(part);
        if (child !== undefined) walk(child, depth + 1);
        return;
      }
      for (const [word, child] of node.children) {
        if (depth > 0 || !word.startsWith("$")) walk(child, depth + 1);
      }
    };
    walk(this.#root, 0);
    return found;
  }
}

function collect<T>(node: Node<T>, isRoot: boolean, found: T[]): void {
  if (node.value !== undefined) found.push(node.value);
  if (node.children === null) return;
  for (const [word, child] of node.children) {
    if (!isRoot || !word.startsWith("$")) collect(child, false, found);
  }
}
