/**
 * Which parts belong to one person, as huggingface/controlnet_aux v0.0.3 `open_pose/body.py` decides by the fields that
 * say where limbs point (Cao et al., arXiv 1812.08008, section 3.3). In double precision, in its order.
 */
import type { Raster } from '../base/raster.ts';
import { roundHalfToEven } from '../math/round.ts';
import { drawnLimbs, type Limb, limbs, partCount } from './pose-parts.ts';
import type { Peak } from './pose-peaks.ts';

/** The field of a limb: its direction times how sure it is, across and down. */
export interface Affinity {
  across: Raster<Float32Array>;
  down: Raster<Float32Array>;
}

/** Two peaks that are one limb, by their places in the lists of their parts. */
export interface Connection {
  from: number;
  to: number;
  score: number;
}

export interface Person {
  /** The place of each part in the list of its peaks; -1 where it was not found. */
  parts: number[];
  score: number;
  /** How many parts were added; a part that was found twice counts twice. */
  count: number;
}

const samples = 10;
const leastAgreement = 0.05;
/** More than eight of the ten have to agree. */
const mostDisagreeing = 1;

/** The best pairs first; a peak is in one pair only. */
export function connect(from: readonly Peak[], to: readonly Peak[], affinity: Affinity): Connection[] {
  const candidates: Connection[] = [];
  for (const [first, a] of from.entries()) {
    for (const [second, b] of to.entries()) {
      const score = agreement(a, b, affinity);
      if (score > 0) candidates.push({ from: first, to: second, score });
    }
  }
  candidates.sort((a, b) => b.score - a.score);
  const takenFrom = new Set<number>();
  const takenTo = new Set<number>();
  return candidates.filter((candidate) => {
    if (takenFrom.has(candidate.from) || takenTo.has(candidate.to)) return false;
    takenFrom.add(candidate.from);
    takenTo.add(candidate.to);
    return true;
  });
}

/** How well the field points from `a` to `b` on the way; 0 where it does so on too little of it. */
function agreement(a: Peak, b: Peak, { across, down }: Affinity): number {
  const { width, height } = across;
  const length = Math.max(0.001, Math.sqrt((b.x - a.x) ** 2 + (b.y - a.y) ** 2));
  const directionX = (b.x - a.x) / length;
  const directionY = (b.y - a.y) / length;
  const stepX = (b.x - a.x) / (samples - 1);
  const stepY = (b.y - a.y) / (samples - 1);
  let sum = 0;
  let disagreeing = 0;
  for (let index = 0; index < samples; index++) {
    const isLast = index === samples - 1;
    const x = roundHalfToEven(isLast ? b.x : index * stepX + a.x);
    const y = roundHalfToEven(isLast ? b.y : index * stepY + a.y);
    const place = y * width + x;
    const along = across.data[place]! * directionX + down.data[place]! * directionY;
    sum += along;
    if (along > leastAgreement) continue;
    disagreeing++;
    if (disagreeing > mostDisagreeing) return 0;
  }
  // Limbs longer than half of the picture's height are unlikely.
  const score = sum / samples + Math.min((0.5 * height) / length - 1, 0);
  return Math.max(score, 0);
}

/**
 * @param peaks of each part
 * @param connections of each limb
 */
export function assemble(
  peaks: readonly (readonly Peak[])[],
  connections: readonly (readonly Connection[])[],
): Person[] {
  const people: Person[] = [];
  for (const [index, [from, to]] of limbs.entries()) {
    for (const connection of connections[index]!) {
      // Never more than two: a peak is in one pair of a limb, and parts come to a person from one limb, ears from two.
      const [first, second] = people.filter(
        ({ parts }) => parts[from] === connection.from || parts[to] === connection.to,
      );
      if (!first) {
        if (index < drawnLimbs) people.push(begin([from, to], connection, peaks));
      } else if (second && !overlap(first, second)) {
        merge(first, second, connection);
        people.splice(people.indexOf(second), 1);
      } else if (second || first.parts[to] !== connection.to) {
        first.parts[to] = connection.to;
        first.count++;
        first.score += peaks[to]![connection.to]!.score + connection.score;
      }
    }
  }
  return people.filter(({ count, score }) => count >= 4 && score / count >= 0.4);
}

function begin([from, to]: Limb, connection: Connection, peaks: readonly (readonly Peak[])[]): Person {
  const parts = new Array<number>(partCount).fill(-1);
  parts[from] = connection.from;
  parts[to] = connection.to;
  const ends = peaks[from]![connection.from]!.score + peaks[to]![connection.to]!.score;
  return { parts, score: ends + connection.score, count: 2 };
}

function overlap(a: Person, b: Person): boolean {
  return a.parts.some((part, index) => part >= 0 && b.parts[index]! >= 0);
}

function merge(person: Person, other: Person, { score }: Connection): void {
  for (const [index, part] of other.parts.entries()) if (part >= 0) person.parts[index] = part;
  person.count += other.count;
  person.score += other.score;
  person.score += score;
}
