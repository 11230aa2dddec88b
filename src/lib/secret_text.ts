// Secrets in texts: who and with which password, in URIs as people write them. What hides them takes linear time, and rather
// hides too much.

export const HIDDEN = "***";

/** `amqp://user:password@host?password=p` without what nobody but its owner should see: `amqp://***@host?password=***`. */
export function hideSecrets(text: string): string {
  let result = "";
  let from = 0;
  for (let at = text.indexOf("://"); at >= 0; at = text.indexOf("://", from)) {
    const begin = at + "://".length;
    const end = endOfUri(text, begin);
    // A password may hold an @, or a slash that should have been written otherwise.
    const rest = text.slice(begin, end);
    const sign = rest.lastIndexOf("@");
    result += text.slice(from, begin) + (sign < 0 ? rest : HIDDEN + rest.slice(sign));
    from = end;
  }
  return (result + text.slice(from)).replaceAll(/([?&]password=)[^&#\s]*/gi, `$1${HIDDEN}`);
}

/** Whether something stands in it that was hidden before. */
export function hasHidden(text: string): boolean {
  return text.includes(`://${HIDDEN}@`) || text.toLowerCase().includes(`password=${HIDDEN}`);
}

function endOfUri(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (/[\s"'<>]/.test(text[at]!)) return at;
  return text.length;
}
