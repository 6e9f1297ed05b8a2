/**
 * The names that trainers give to the tensors of a LoRA, brought to one form: the network, the path of its layer with
 * underscores for dots, and which part of its change. Underscores, because kohya's names have no dots and could not be split
 * without knowing every layer; the graph knows its layers and asks for each by the same form.
 *
 * After huggingface/diffusers v0.24.0 `loaders/lora_conversion_utils.py` and `loaders/lora.py`, kohya-ss/sd-scripts
 * `networks/lora.py`, huggingface/peft, and comfy/lora.py `load_lora` of ComfyUI at ae77590b.
 */
import type { LoraPart } from './lora-change.ts';
import { originalComponents, renamed } from './original-names.ts';

/** The networks that a LoRA can be for. */
export type LoraTarget = 'unet' | 'textEncoder' | 'textEncoder2';

export interface LoraName {
  target: LoraTarget;
  /** `down_blocks_1_attentions_0_proj_in` */
  layer: string;
  part: LoraPart;
}

const prefixes: readonly (readonly [string, LoraTarget])[] = [
  ['lora_unet_', 'unet'],
  ['lora_te1_', 'textEncoder'],
  ['lora_te2_', 'textEncoder2'],
  ['lora_te_', 'textEncoder'],
  ['unet.', 'unet'],
  ['text_encoder.', 'textEncoder'],
  ['text_encoder_2.', 'textEncoder2'],
  ['diffusion_model.', 'unet'],
];
/** Without a prefix only these layers tell what they belong to. */
const ownLayers: readonly (readonly [RegExp, LoraTarget])[] = [
  [/^(down_blocks|mid_block|up_blocks|conv_in|conv_norm_out|conv_out|time_embedding|add_embedding)\./, 'unet'],
  [/^text_model\./, 'textEncoder'],
];

const products: Record<string, LoraPart> = {
  lora_down: 'down',
  lora_mid: 'middle',
  lora_up: 'up',
  lora_A: 'down',
  lora_B: 'up',
  down: 'down',
  up: 'up',
};

/** `undefined` where no trainer that is known here names tensors so. */
export function parseLoraName(name: string): LoraName | undefined {
  const bare = name.replace(/^base_model\.model\./, '');
  const [prefix, target] =
    prefixes.find(([start]) => bare.startsWith(start)) ??
    ownLayers.flatMap(([layers, own]) => (layers.test(bare) ? [['', own] as const] : []))[0] ??
    [];
  if (prefix === undefined || target === undefined) return undefined;
  const match =
    /^(?<path>.+?)\.(?<part>lora_down|lora_mid|lora_up)\.weight$/.exec(bare) ??
    // PEFT may put the adapter's name in between.
    /^(?<path>.+?)\.(?<part>lora_A|lora_B)(\.[^.]+)?\.weight$/.exec(bare) ??
    /^(?<path>.+?)(?<old>_lora|\.lora|\.lora_linear_layer)\.(?<part>down|up)\.weight$/.exec(bare) ??
    /^(?<path>.+?)(?<old>_lora|\.lora|\.lora_linear_layer)?\.alpha$/.exec(bare) ??
    /^(?<path>.+?)\.(?<part>a1|a2|b1|b2)\.weight$/.exec(bare) ??
    /^(?<path>.+?)\.(?<part>dora_scale|hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2)|diff(?:_b)?|[wb]_norm)$/.exec(
      bare,
    );
  if (!match) return undefined;
  const { path, part = 'alpha', old } = match.groups as { path: string; part?: string; old?: string };
  const layer = path.slice(prefix.length);
  const isProcessor = old === '_lora' || layer.includes('.processor.');
  return {
    target,
    layer: (isProcessor ? layerOfProcessor(layer, target) : layer).replaceAll('.', '_'),
    part: products[part] ?? (part as LoraPart),
  };
}

/** diffusers' first layout names the processor of an attention, not the attention's layer. */
function layerOfProcessor(layer: string, target: LoraTarget): string {
  const path = layer.replace('.processor.', '.');
  if (target === 'unet') return path.replace(/\.to_out$/, '.to_out.0');
  return path.replace(/\.to_([qkv]|out)$/, '.$1_proj');
}

/**
 * The layer's name in the layout of diffusers, for names in that of the training code.
 *
 * @param perLevel entries of `input_blocks` for one resolution
 */
export function diffusersLayer(layer: string, perLevel: number): string {
  const { rules } = originalComponents.find(({ component }) => component === 'unet')!;
  // `input_blocks_4_0_in_layers_2` -> `input_blocks.4.0.in_layers.2.`: the rules look at numbers between dots.
  const dotted = layer.replace(/_(\d+)(?=_|$)/g, '.$1').replace(/(\.\d+)_/g, '$1.');
  const path = renamed(`${dotted}.`, rules, { perLevel, vaeLevels: 0, lastHint: 0 });
  return path.slice(0, -1).replaceAll('.', '_');
}
