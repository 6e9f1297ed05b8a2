/**
 * The first key that stands twice in one object of a JSON text, which `JSON.parse` keeps quiet about: two readers of
 * such a file may see different weights. A scanner and not a regular expression, whose stack a long text overflows.
 *
 * @param text valid JSON
 */
export function duplicateKey(text: string): string | undefined {
  const objects: Set<string>[] = [];
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '{') objects.push(new Set());
    else if (character === '}') objects.pop();
    else if (character === '"') {
      const end = endOfText(text, index);
      if (isFollowedByColon(text, end)) {
        const key = JSON.parse(text.slice(index, end)) as string;
        const keys = objects.at(-1)!;
        if (keys.has(key)) return key;
        keys.add(key);
      }
      index = end - 1;
    }
  }
  return undefined;
}

/** The position after the closing quote of the text that begins at `start`. */
function endOfText(text: string, start: number): number {
  let index = start + 1;
  while (text[index] !== '"') index += text[index] === '\\' ? 2 : 1;
  return index + 1;
}

function isFollowedByColon(text: string, start: number): boolean {
  let index = start;
  while (/\s/.test(text[index] ?? '')) index++;
  return text[index] === ':';
}
