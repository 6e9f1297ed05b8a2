import type { FileRef } from './file-ref.ts';

/** The wire form of a stored file's reference: whoever has the URL may read the file. */
export function fileUrl({ key, name }: FileRef, origin: string): string {
  return `${origin}/f/${key}/${encodeURIComponent(name)}`;
}

const ownFilePath = /^(?:\/v1)*\/f\/([A-Za-z0-9_-]+)\/([^/]+)$/;

/** The file that a URL of this server names, whatever host name it was given; `undefined` for any other URL. */
export function parseFileUrl(url: string): FileRef | undefined {
  const match = URL.canParse(url) ? ownFilePath.exec(new URL(url).pathname) : null;
  if (!match) return undefined;
  try {
    return { key: match[1]!, name: decodeURIComponent(match[2]!) };
  } catch {
    return undefined;
  }
}
