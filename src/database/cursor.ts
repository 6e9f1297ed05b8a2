import { InputError } from '../base/errors.ts';

/** A place in a list, and the direction in which the page leads away from it. */
export interface Cursor {
  direction: 'older' | 'newer';
  createdAt: Date;
  id: string;
}

/** Opaque to clients; (created_at, id) is unique, so what is new never shifts a page. */
export function formatCursor({ direction, createdAt, id }: Cursor): string {
  return Buffer.from(`${direction} ${createdAt.getTime()} ${id}`).toString('base64url');
}

/** @throws InputError when it is not one of ours */
export function parseCursor(text: string): Cursor {
  const [, direction, milliseconds, id] =
    /^(older|newer) (\d{1,14}) ([0-9a-z]{26,32})$/.exec(Buffer.from(text, 'base64url').toString()) ?? [];
  if (!direction || !milliseconds || !id) throw new InputError('Invalid cursor', 'cursor');
  return { direction: direction as Cursor['direction'], createdAt: new Date(Number(milliseconds)), id };
}
