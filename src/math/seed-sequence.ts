/**
 * NumPy's SeedSequence: turns a seed of any size, and a path below it, into well mixed 32-bit words. After
 * https://github.com/numpy/numpy/blob/v1.24.2/numpy/random/bit_generator.pyx#L236-L520, which follows
 * M. E. O'Neill's "C++ seeding surprises" (https://www.pcg-random.org/posts/developing-a-seed_seq-alternative.html).
 *
 * Not here: entropy given as text or as a list, and `spawn`.
 */
export function seedSequence(
  entropy: bigint,
  { path = [], poolSize, words }: { path?: readonly number[]; poolSize: number; words: number },
): Uint32Array {
  const input = wordsOf(entropy);
  if (path.length > 0) {
    // Padding keeps a long seed without a path apart from a short one with it.
    while (input.length < poolSize) input.push(0);
    input.push(...path);
  }
  return generate(fillPool(input, poolSize), words);
}

/** Little-endian; 0 is one word. */
function wordsOf(value: bigint): number[] {
  const words: number[] = [];
  for (let rest = value; rest > 0n || words.length === 0; rest >>= 32n) words.push(Number(rest & 0xffff_ffffn));
  return words;
}

function fillPool(input: readonly number[], size: number): Uint32Array {
  const pool = new Uint32Array(size);
  const hash = hasher(0x43b0d7e5, 0x931e8875);
  for (let index = 0; index < size; index++) pool[index] = hash(input[index] ?? 0);
  for (let source = 0; source < size; source++) {
    for (let target = 0; target < size; target++) {
      if (source !== target) pool[target] = mix(pool[target]!, hash(pool[source]!));
    }
  }
  for (const word of input.slice(size)) {
    for (let target = 0; target < size; target++) pool[target] = mix(pool[target]!, hash(word));
  }
  return pool;
}

function generate(pool: Uint32Array, count: number): Uint32Array {
  const hash = hasher(0x8b51f9dd, 0x58f38ded);
  return Uint32Array.from({ length: count }, (_, index) => hash(pool[index % pool.length]!));
}

/** A hash whose constant moves on with every word. */
function hasher(initial: number, multiplier: number): (word: number) => number {
  let constant = initial;
  return (word) => {
    const scrambled = word ^ constant;
    constant = Math.imul(constant, multiplier);
    return foldHigh(Math.imul(scrambled, constant));
  };
}

function mix(a: number, b: number): number {
  return foldHigh(Math.imul(0xca01f9dd, a) - Math.imul(0x4973f715, b));
}

function foldHigh(word: number): number {
  return (word ^ (word >>> 16)) >>> 0;
}
