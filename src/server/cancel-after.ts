/** The header `Cancel-After`: how long after its creation a prediction is given up. */
import { invalidHeader } from './errors.ts';

const shortestSeconds = 5;
const longestSeconds = 24 * 60 * 60;

/** Whole seconds, or hours, minutes and seconds: `90`, `15m`, `1h30m45s`. @throws Problem */
export function parseCancelAfter(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const match = /^(?:(\d{1,9})|(?=\d)(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?)$/i.exec(String(header).trim());
  if (!match) {
    throw invalidHeader(
      'Cancel-After',
      'Cancel-After must be whole seconds, or a duration such as 90s, 15m or 1h30m45s.',
    );
  }
  const [plain = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(1).map((digits) => Number(digits ?? 0));
  const total = plain + hours * 3600 + minutes * 60 + seconds;
  if (total < shortestSeconds || total > longestSeconds) {
    throw invalidHeader('Cancel-After', 'Cancel-After must be between 5s and 24h.');
  }
  return total;
}
