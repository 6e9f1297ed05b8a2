/**
 * How a stored file is named inside the database: `darkroom-file:<key>/<name>`. The wire form is a capability URL,
 * `<origin>/f/<key>/<name>`; `server/wire.ts` translates outward, the worker host translates to a local path.
 */
const prefix = 'darkroom-file:';

export interface FileRef {
  /** Unguessable: who knows it may read the file. */
  key: string;
  name: string;
}

export function formatFileRef(ref: FileRef): string {
  return `${prefix}${ref.key}/${ref.name}`;
}

export function parseFileRef(value: unknown): FileRef | undefined {
  if (typeof value !== 'string' || !value.startsWith(prefix)) return undefined;
  const slash = value.indexOf('/', prefix.length);
  if (slash < 0) return undefined;
  return { key: value.slice(prefix.length, slash), name: value.slice(slash + 1) };
}
