import { InputError } from '../base/errors.ts';
import { logOfSingle, sineAndCosine } from './cephes.ts';

/**
 * Seeded standard normal values, bit streams equal to PyTorch's. Each call continues where the last one ended, as with
 * a `torch.Generator`. Values are float32; half-precision models of the originals got the same values, rounded.
 *
 * Not here: integer and permutation draws; generators of other devices.
 */
export interface NormalStream {
  normal(count: number): Float32Array;
}

/**
 * Threads that a GPU keeps resident, `SMs × threads per SM`. A draw of more values than this is laid out in a second
 * round, so its values then depend on the card. The published models ran on A100s; with its layout, everything up to
 * 221,184 values (four pictures of 768 × 1152) is the same on an A100, an H100 and on any larger card.
 */
export const residentThreadsOfA100 = 108 * 2048;

/**
 * PyTorch's stream on a CUDA device: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")
 * and Box–Muller, with the thread layout of
 * https://github.com/pytorch/pytorch/blob/v2.0.0/aten/src/ATen/native/cuda/DistributionTemplates.h#L52-L115
 */
export function cudaNormals(seed: number | bigint, residentThreads: number = residentThreadsOfA100): NormalStream {
  const wrapped = wrapSeed(seed);
  const key0 = Number(wrapped & 0xffff_ffffn);
  const key1 = Number(wrapped >> 32n);
  const words = new Uint32Array(4);
  let round = 0; // the generator's offset, divided by the four words of a counter

  return {
    normal(count) {
      const values = new Float32Array(count);
      const rounds = Math.ceil(count / (4 * residentThreads));
      for (let turn = 0; turn < rounds; turn++) {
        const start = turn * 4 * residentThreads;
        const threads = Math.min(residentThreads, count - start);
        for (let thread = 0; thread < threads; thread++) {
          words[0] = (round + turn) >>> 0;
          words[1] = Math.floor((round + turn) / 2 ** 32);
          words[2] = thread;
          words[3] = 0;
          philox(words, key0, key1);
          for (let pair = 0; pair < 2; pair++) {
            const first = start + thread + 2 * pair * residentThreads;
            if (first >= count) break;
            // Both uniforms are rounded to float32 before the transform, which makes v's error the largest one.
            const u = Math.fround(Math.fround(words[2 * pair]!) * 2 ** -32 + 2 ** -33);
            const v = Math.fround(Math.fround(words[2 * pair + 1]!) * twoPiOver2To32 + twoPiOver2To32 / 2);
            const radius = Math.sqrt(-2 * Math.log(u));
            values[first] = radius * Math.sin(v);
            if (first + residentThreads < count) values[first + residentThreads] = radius * Math.cos(v);
          }
        }
      }
      round += rounds;
      return values;
    },
  };
}

const twoPiOver2To32 = Math.fround((2 * Math.PI) / 2 ** 32);

/** Ten rounds over the counter, in place. */
function philox(counter: Uint32Array, key0: number, key1: number): void {
  let c0 = counter[0]!;
  let c1 = counter[1]!;
  let c2 = counter[2]!;
  let c3 = counter[3]!;
  let k0 = key0;
  let k1 = key1;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

/** The upper 32 bits of a product of two 32-bit numbers. Half-words keep every partial product below 2^53. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
}

/**
 * PyTorch's stream on the CPU: the Mersenne Twister (Matsumoto and Nishimura 1998) and Box–Muller, as in
 * https://github.com/pytorch/pytorch/blob/v2.0.0/aten/src/ATen/native/cpu/DistributionTemplates.h#L124-L211
 * Draws of 16 values and more use 24-bit uniforms in blocks of 16; smaller ones use 53-bit uniforms one at a time.
 */
export function cpuNormals(seed: number | bigint): NormalStream {
  const next = mersenneTwister(Number(wrapSeed(seed) & 0xffff_ffffn));
  // The scalar transform makes two values; the second one waits here, also over a large draw in between.
  let waiting: number | undefined;

  function scalar(): number {
    if (waiting !== undefined) {
      const value = waiting;
      waiting = undefined;
      return value;
    }
    const angle = 2 * Math.PI * uniform53(next);
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53(next)));
    waiting = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  return {
    normal(count) {
      const values = new Float32Array(count);
      if (count < 16) {
        for (let index = 0; index < count; index++) values[index] = scalar();
        return values;
      }
      for (let index = 0; index < count; index++) values[index] = uniform24(next);
      for (let start = 0; start + 16 <= count; start += 16) boxMuller16(values, start);
      if (count % 16 !== 0) {
        for (let index = count - 16; index < count; index++) values[index] = uniform24(next);
        boxMuller16(values, count - 16);
      }
      return values;
    },
  };
}

/** Seeded values from 0 up to but not including 1, equal to `torch.rand`'s; each call continues where the last one ended. */
export interface UniformStream {
  uniform(count: number): Float32Array;
}

/** PyTorch's float32 stream on the CPU: the upper 8 bits of each 32-bit word of the Mersenne Twister are dropped. */
export function cpuUniforms(seed: number | bigint): UniformStream {
  const next = mersenneTwister(Number(wrapSeed(seed) & 0xffff_ffffn));
  return { uniform: (count) => Float32Array.from({ length: count }, () => uniform24(next)) };
}

function uniform24(next: () => number): number {
  return (next() & 0xff_ffff) / 2 ** 24;
}

function uniform53(next: () => number): number {
  const high = next() & 0x1f_ffff;
  return (high * 2 ** 32 + next()) / 2 ** 53;
}

/**
 * Turns 16 uniforms into 16 normals, in place: the first eight give the radius, the other eight the angle. In float32
 * throughout, as torch's vectors.
 */
function boxMuller16(values: Float32Array, start: number): void {
  for (let index = start; index < start + 8; index++) {
    const radius = Math.fround(Math.sqrt(-2 * logOfSingle(1 - values[index]!)));
    const [sine, cosine] = sineAndCosine(Math.fround(twoPi * values[index + 8]!));
    values[index] = radius * cosine;
    values[index + 8] = radius * sine;
  }
}

const twoPi = Math.fround(2 * Math.PI);

function mersenneTwister(seed: number): () => number {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let index = 1; index < 624; index++) {
    const previous = state[index - 1]! ^ (state[index - 1]! >>> 30);
    state[index] = Math.imul(1812433253, previous) + index;
  }
  let position = 624;

  return () => {
    if (position === 624) {
      for (let index = 0; index < 624; index++) {
        const mixed = (state[index]! & 0x8000_0000) | (state[(index + 1) % 624]! & 0x7fff_ffff);
        state[index] = state[(index + 397) % 624]! ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
      }
      position = 0;
    }
    let word = state[position++]!;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
}

/** The seed modulo 2^64, as `torch.Generator.manual_seed` takes it. @throws InputError outside −2^63…2^64−1 */
export function wrapSeed(seed: number | bigint): bigint {
  const whole = typeof seed === 'bigint' || Number.isInteger(seed);
  const value = whole ? BigInt(seed) : undefined;
  if (value === undefined || value < -(2n ** 63n) || value >= 2n ** 64n) {
    throw new InputError(
      `seed is ${seed}; send a whole number from -9223372036854775808 to 18446744073709551615, or leave it out.`,
      'seed',
    );
  }
  return BigInt.asUintN(64, value);
}
