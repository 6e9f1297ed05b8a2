import type { PageJson } from './wire.ts';

/** As many items as the public service puts on a page. */
export const pageSize = 100;

export interface Page<Item> {
  items: Item[];
  next: string | undefined;
  previous: string | undefined;
}

/**
 * A page as clients expect it: links are whole URLs (the JavaScript client breaks on relative ones) and keep the
 * query's filters.
 *
 * @param address the list's own URL without query
 */
export function pageJson<Item, Json>(
  page: Page<Item>,
  address: string,
  query: Record<string, string | undefined>,
  toJson: (item: Item) => Json,
): PageJson<Json> {
  const link = (cursor: string | undefined): string | null => {
    if (cursor === undefined) return null;
    const url = new URL(address);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && name !== 'cursor') url.searchParams.set(name, value);
    }
    url.searchParams.set('cursor', cursor);
    return url.href;
  };
  return { next: link(page.next), previous: link(page.previous), results: page.items.map(toJson) };
}

/** A list that is no longer than a page. */
export function wholeList<Item>(items: Item[]): Page<Item> {
  return { items, next: undefined, previous: undefined };
}
