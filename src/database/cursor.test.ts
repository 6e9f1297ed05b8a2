import { describe, expect, it } from 'vitest';
import { formatCursor, parseCursor } from './cursor.ts';

describe('cursor', () => {
  it('comes back as it went', () => {
    const cursor = {
      direction: 'newer',
      createdAt: new Date(1_767_225_600_123),
      id: '01aryz6s410123456789abcdef',
    } as const;
    expect(formatCursor(cursor)).toMatch(/^[\w-]+$/);
    expect(parseCursor(formatCursor(cursor))).toEqual(cursor);
  });

  it.each(['', 'x', '%%%', 'b2xkZXI=', Buffer.from(`older 1 ${'A'.repeat(26)}`).toString('base64url')])(
    'refuses %j',
    (text) => {
      expect(() => parseCursor(text)).toThrow('Invalid cursor');
    },
  );
});
