/**
 * Prompts of any length with weights, as ComfyUI encodes them for face-to-many: windows of 77 tokens are encoded one by
 * one and joined, and a weight moves a token's state away from its place in the empty prompt. After
 * comfyanonymous/ComfyUI at ae77590b `comfy/sd1_clip.py` (`SDTokenizer`, `ClipTokenWeightEncoder`).
 *
 * Not here: textual inversion; a name after `embedding:` is passed over, as ComfyUI does with files that are not there.
 */
import { float32, type Tensor } from '../math/tensor.ts';
import { withFtfy } from './clip-normalization.ts';
import { encodeText, type Padding, windowLength, windowOf } from './clip-tokenizer.ts';
import { endToken, startToken } from './clip-vocabulary.ts';
import { parseWeights } from './prompt-weights.ts';

export interface WeightedWindow {
  /** 77 tokens. */
  ids: number[];
  /** Of each token. */
  weights: number[];
}

export interface WeightedPrompt {
  /** At least one. */
  windows: WeightedWindow[];
  /** Names after `embedding:`. */
  passedOver: string[];
}

type Token = readonly [id: number, weight: number];

/** Words of fewer tokens than this are not cut at the end of a window. */
const longWord = 8;
const embedding = 'embedding:';

/**
 * @param field the input that holds the prompt, for errors
 * @throws InputError for weights that cannot be used
 */
export function tokenizeWeighted(prompt: string, padding: Padding, field: string): WeightedPrompt {
  const passedOver: string[] = [];
  const words: Token[][] = [];
  for (const { text, weight } of parseWeights(prompt, field)) {
    for (const part of text.replaceAll('\n', ' ').split(' ')) {
      let word = part;
      if (word.startsWith(embedding)) {
        const name = word.slice(embedding.length);
        passedOver.push(name);
        // What the reference goes on with: as many characters as there are commas at both ends, from the end.
        const characters = Array.from(name);
        word = characters.slice(Array.from(name.replace(/^,+|,+$/g, '')).length).join('');
      }
      // ComfyUI has the first encoder's tokenizer for both, and fills windows up by itself.
      if (word !== '') words.push(encodeText(word, withFtfy, endToken).map((id) => [id, weight]));
    }
  }
  return { windows: windowsOf(words, padding), passedOver };
}

function windowsOf(words: readonly (readonly Token[])[], padding: Padding): WeightedWindow[] {
  const windows: Token[][] = [];
  let current: Token[] = [[startToken, 1]];
  const close = (): void => {
    const rest = new Array<Token>(windowLength - 1 - current.length).fill([padding, 1]);
    windows.push([...current, [endToken, 1], ...rest]);
    current = [[startToken, 1]];
  };
  for (const word of words) {
    let rest = word;
    while (rest.length > 0) {
      const room = windowLength - 1 - current.length;
      const fits = rest.length <= room ? rest.length : word.length >= longWord ? room : 0;
      current.push(...rest.slice(0, fits));
      rest = rest.slice(fits);
      if (rest.length > 0) close();
    }
  }
  close();
  return windows.map((tokens) => ({ ids: tokens.map(([id]) => id), weights: tokens.map(([, weight]) => weight) }));
}

/** Whether the empty prompt has to be encoded too. */
export function hasWeights({ windows }: WeightedPrompt): boolean {
  return windows.some(({ weights }) => weights.some((weight) => weight !== 1));
}

export function emptyWindow(padding: Padding): number[] {
  return windowOf([], padding);
}

/**
 * Joins the windows and applies their weights, rounded to float32 as the reference computes.
 *
 * @param states of the windows, and after them of the empty prompt where there are weights: [windows (+ 1), 77, width]
 * @returns [1, windows × 77, width]
 */
export function weightStates(states: Tensor<'float32'>, prompt: WeightedPrompt): Tensor<'float32'> {
  const width = states.dims[2]!;
  const { windows } = prompt;
  const size = windowLength * width;
  const joined = float32([1, windows.length * windowLength, width], states.data.slice(0, windows.length * size));
  if (!hasWeights(prompt)) return joined;
  const empty = states.data.subarray(windows.length * size, (windows.length + 1) * size);
  for (const [window, { weights }] of windows.entries()) {
    for (const [token, weight] of weights.entries()) {
      if (weight === 1) continue;
      for (let index = token * width; index < (token + 1) * width; index++) {
        const place = window * size + index;
        const difference = Math.fround(joined.data[place]! - empty[index]!);
        joined.data[place] = Math.fround(difference * Math.fround(weight)) + empty[index]!;
      }
    }
  }
  return joined;
}
