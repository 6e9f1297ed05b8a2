/**
 * Prompts of any length with weights, as ComfyUI encodes them for Stable Diffusion XL: comfyanonymous/ComfyUI at ae77590b
 * `comfy/sdxl_clip.py`, behind the node "Efficient Loader" of jags111/efficiency-nodes-comfyui at 60f8700 with
 * `clip_skip` −1, `token_normalization` "none" and `weight_interpretation` "comfy".
 *
 * Not here: textual inversions.
 */
import { InputError } from '../base/errors.ts';
import { float32, rowOf, type Tensor } from '../math/tensor.ts';
import type { Residency } from '../runtime/residency.ts';
import {
  emptyWindow,
  hasWeights,
  tokenizeWeighted,
  type WeightedPrompt,
  weightStates,
} from '../text/weighted-prompt.ts';
import { shortened } from './shortened.ts';
import { encodeXlTokens, type PromptStates, type XlEncoding, xlPadding } from './stable-diffusion-xl-prompt.ts';

export interface ComfyPrompt {
  text: string;
  /** The input that it comes from, for messages. */
  field: string;
}

/**
 * Windows of 75 tokens that a prompt may have. ComfyUI knows no limit, but attention to the text grows with it, and with
 * two prompts to the least common multiple of both.
 */
const mostWindows = 8;

/** A prompt as both encoders read it: in the same windows, filled up with other tokens. */
export interface ComfyTokens {
  /** The input that it comes from, for messages. */
  field: string;
  first: WeightedPrompt;
  second: WeightedPrompt;
}

/** @throws InputError naming the field, for weights that cannot be used and for a prompt that is too long */
export function tokenizeComfyPrompts(prompts: readonly ComfyPrompt[], log: (line: string) => void): ComfyTokens[] {
  return prompts.map(({ text, field }) => {
    const first = tokenizeWeighted(text, xlPadding.first, field);
    const windows = first.windows.length;
    if (windows > mostWindows) {
      throw new InputError(
        `${field} has more than ${(windows - 1) * 75} tokens, and ${mostWindows * 75} are accepted. Shorten it.`,
        field,
      );
    }
    logPassedOver(first.passedOver, log);
    return { field, first, second: tokenizeWeighted(text, xlPadding.second, field) };
  });
}

/** Of lines about one prompt: the names are no tokens, so that it may have any number of them. */
const mostLines = 20;

function logPassedOver(names: readonly string[], log: (line: string) => void): void {
  for (const name of names.slice(0, mostLines)) {
    log(`warning, embedding:${shortened(name)} does not exist, ignoring`);
  }
  if (names.length > mostLines) log(`and ${names.length - mostLines} more embeddings`);
}

/**
 * The prompts in their order, each one row; those with fewer windows are repeated until all have the same length, which
 * changes nothing of what attention finds in them.
 *
 * @param folder of a Stable Diffusion XL repository
 */
export async function encodeComfyPrompts(
  residency: Residency,
  folder: string,
  prompts: readonly ComfyTokens[],
  loras?: XlEncoding['loras'],
): Promise<PromptStates[]> {
  const rows = { first: idsOf(prompts.map(({ first }) => first)), second: idsOf(prompts.map(({ second }) => second)) };
  if (prompts.some(({ first }) => hasWeights(first))) {
    rows.first.push(emptyWindow(xlPadding.first));
    rows.second.push(emptyWindow(xlPadding.second));
  }
  const encoded = await encodeXlTokens(residency, folder, rows, { states: 'last', ...(loras && { loras }) });
  const longest = prompts.map(({ first }) => first.windows.length).reduce(leastCommonMultiple);
  let start = 0;
  return prompts.map(({ first }) => {
    const count = first.windows.length;
    const own = rowsOf(
      encoded.states,
      [...first.windows.keys()].map((window) => start + window),
    );
    const empty = rowsOf(encoded.states, [rows.first.length - 1]);
    const states = weightStates(joined([own, empty]), first);
    const pooled = rowOf(encoded.pooled, start);
    start += count;
    return { states: repeated(states, longest / count), pooled };
  });
}

function idsOf(prompts: readonly WeightedPrompt[]): number[][] {
  return prompts.flatMap(({ windows }) => windows.map(({ ids }) => ids));
}

/** [rows, T, width] -> [n, T, width] */
function rowsOf(tensor: Tensor<'float32'>, rows: readonly number[]): Tensor<'float32'> {
  return joined(rows.map((row) => rowOf(tensor, row)));
}

/** One below the other: [a, T, width], [b, T, width], … -> [a + b + …, T, width] */
function joined(tensors: readonly Tensor<'float32'>[]): Tensor<'float32'> {
  const [, ...rest] = tensors[0]!.dims;
  const rows = tensors.reduce((sum, { dims }) => sum + dims[0]!, 0);
  const whole = float32([rows, ...rest]);
  let place = 0;
  for (const { data } of tensors) {
    whole.data.set(data, place);
    place += data.length;
  }
  return whole;
}

/** [1, T, width] -> [1, times × T, width] */
function repeated({ dims, data }: Tensor<'float32'>, times: number): Tensor<'float32'> {
  const [, length, width] = dims as [number, number, number];
  const whole = float32([1, times * length, width]);
  for (let copy = 0; copy < times; copy++) whole.data.set(data, copy * data.length);
  return whole;
}

function leastCommonMultiple(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return (a / divisor(a, b)) * b;
}
