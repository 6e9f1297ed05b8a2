/**
 * What Stable Diffusion XL is told: the states of two text encoders side by side, the pooled state of the second, and
 * sizes. After huggingface/diffusers v0.25.0 `pipelines/stable_diffusion_xl/pipeline_stable_diffusion_xl.py`
 * (`encode_prompt`, `_get_add_time_ids`).
 *
 * Not here: another text for the second encoder, zeros in place of an empty negative prompt.
 */
import { join } from 'node:path';
import { float32, rowOf, scalar, type Tensor } from '../math/tensor.ts';
import { type ClipTextOutput, clipTextNetwork } from '../networks/clip-text.ts';
import type { Residency } from '../runtime/residency.ts';
import { withAccents } from '../text/clip-normalization.ts';
import { type Padding, tokenizePrompt, windowLength } from '../text/clip-tokenizer.ts';
import { endToken } from '../text/clip-vocabulary.ts';
import type { LoraFile } from '../weights/lora.ts';
import { truncationNotice } from './prompt.ts';

export interface PromptStates {
  /** [rows, 77, width of both encoders] */
  states: Tensor<'float32'>;
  /** [rows, width of the second encoder's projection] */
  pooled: Tensor<'float32'>;
}

/** The same texts as each encoder's tokenizer cuts them: 77 tokens in every row. */
export interface XlTokens {
  first: readonly (readonly number[])[];
  second: readonly (readonly number[])[];
}

export interface XlEncoding {
  /** The layer whose states are taken, without the encoder's final normalisation. */
  states: 'penultimate' | 'last';
  /** Files of any layout; the scale is that of all of them. */
  loras?: { files: readonly LoraFile[]; scale: number };
}

/** What a token sequence that is too short is filled up with. */
export const xlPadding = { first: endToken, second: 0 } as const satisfies Record<string, Padding>;

/** @param folder of a Stable Diffusion XL repository */
export async function encodeXlTokens(
  residency: Residency,
  folder: string,
  tokens: XlTokens,
  { states, loras }: XlEncoding,
): Promise<PromptStates> {
  const layer = `hidden_states.${states === 'last' ? -1 : -2}` as const;
  const encode = async (
    name: 'text_encoder' | 'text_encoder_2',
    rows: XlTokens['first'],
    outputs: readonly ClipTextOutput[],
  ): Promise<Record<string, Tensor<'float32'>>> => {
    const shape = { batch: rows.length, length: windowLength };
    const target = name === 'text_encoder' ? 'textEncoder' : 'textEncoder2';
    const network = clipTextNetwork(join(folder, name), shape, outputs, loras && { files: loras.files, target });
    const ids = { type: 'int32', dims: [rows.length, windowLength], data: Int32Array.from(rows.flat()) } as const;
    const scales = (loras?.files ?? []).map((_, index) => [`lora_scale.${index}`, scalar(loras!.scale)]);
    const feeds = { input_ids: ids, ...Object.fromEntries(scales) };
    return (await residency.use(network, (session) => session.run(feeds))) as Record<string, Tensor<'float32'>>;
  };
  const first = await encode('text_encoder', tokens.first, [layer]);
  const second = await encode('text_encoder_2', tokens.second, [layer, 'text_embeds']);
  return { states: sideBySide(first[layer]!, second[layer]!), pooled: second.text_embeds! };
}

/**
 * Plain encoding: 77 tokens of each prompt, and a notice in the log where there were more.
 *
 * @param prompts one row each
 */
export async function encodeXlPrompts(
  residency: Residency,
  folder: string,
  prompts: readonly string[],
  log: (line: string) => void,
): Promise<PromptStates> {
  const tokenize = (padding: Padding) => prompts.map((prompt) => tokenizePrompt(prompt, withAccents, padding));
  const [first, second] = [tokenize(xlPadding.first), tokenize(xlPadding.second)];
  for (const [row, { removed }] of first.entries()) {
    // Both cut at the same place, but where a `!` is one token to the first and several to the second.
    const notRead = removed || second[row]!.removed;
    if (notRead) log(truncationNotice(notRead));
  }
  const tokens = { first: first.map(({ ids }) => ids), second: second.map(({ ids }) => ids) };
  return await encodeXlTokens(residency, folder, tokens, { states: 'penultimate' });
}

/** The picture's own size, from its upper left corner, for a picture of that size. */
export function timeIds(height: number, width: number): number[] {
  return [height, width, 0, 0, height, width];
}

/** What a UNet of batch 1 is fed of one row; more tokens may follow the text's. */
export function promptFeeds({ states, pooled }: PromptStates, row: number, ids: readonly number[]) {
  return {
    encoder_hidden_states: rowOf(states, row),
    text_embeds: rowOf(pooled, row),
    time_ids: float32([1, ids.length], Float32Array.from(ids)),
  };
}

/** [B, T, a], [B, T, b] -> [B, T, a + b] */
function sideBySide(left: Tensor<'float32'>, right: Tensor<'float32'>): Tensor<'float32'> {
  const [batch, length, leftWidth] = left.dims as [number, number, number];
  const rightWidth = right.dims[2]!;
  const width = leftWidth + rightWidth;
  const joined = float32([batch, length, width]);
  for (let token = 0; token < batch * length; token++) {
    joined.data.set(left.data.subarray(token * leftWidth, (token + 1) * leftWidth), token * width);
    joined.data.set(right.data.subarray(token * rightWidth, (token + 1) * rightWidth), token * width + leftWidth);
  }
  return joined;
}
