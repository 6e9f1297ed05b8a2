/**
 * The names of checkpoints in the layout of their training code (CompVis/latent-diffusion, Stability-AI/generative-models,
 * lllyasviel/ControlNet), and the names of diffusers and transformers that networks here ask for. This table is the only
 * place that knows the former. After huggingface/diffusers v0.24.0
 * pipelines/stable_diffusion/convert_from_ckpt.py.
 *
 * Not here: Stable Diffusion 2 (its text encoder is OpenCLIP H), the SDXL refiner.
 */

/** A network of a checkpoint. */
export type Component = 'unet' | 'controlnet' | 'vae' | 'textEncoder' | 'textEncoder2';

/** Numbers that the names of a component depend on, read off the names. */
export interface Counts {
  /** Entries of `input_blocks` for one resolution: its resnets and the downsampler. */
  perLevel: number;
  /** Resolutions of the VAE. */
  vaeLevels: number;
  /** The last convolution of ControlNet's condition. */
  lastHint: number;
}

/**
 * Part of a name, and what it becomes. `{q,k,v}` in it stands for three tensors that are stored as one, one after
 * another; `{transposed}` for a matrix that is stored the other way round.
 */
type Rule = readonly [pattern: RegExp, replacement: string | ((match: readonly string[], counts: Counts) => string)];

interface OriginalComponent {
  component: Component;
  prefix: string;
  /** A name that only this component has; a file of nothing else may lack the prefix. */
  mark?: string;
  rules: readonly Rule[];
}

const resnetRules: readonly Rule[] = [
  [/\.in_layers\.0\./, '.norm1.'],
  [/\.in_layers\.2\./, '.conv1.'],
  [/\.emb_layers\.1\./, '.time_emb_proj.'],
  [/\.out_layers\.0\./, '.norm2.'],
  [/\.out_layers\.3\./, '.conv2.'],
  [/\.skip_connection\./, '.conv_shortcut.'],
];

const unetRules: readonly Rule[] = [
  [/^time_embed\.0\./, 'time_embedding.linear_1.'],
  [/^time_embed\.2\./, 'time_embedding.linear_2.'],
  [/^label_emb\.0\.0\./, 'add_embedding.linear_1.'],
  [/^label_emb\.0\.2\./, 'add_embedding.linear_2.'],
  [/^input_blocks\.0\.0\./, 'conv_in.'],
  [
    /^input_blocks\.(\d+)\.0\.op\./,
    ([, index], counts) => `down_blocks.${down(index!, counts).level}.downsamplers.0.conv.`,
  ],
  [/^input_blocks\.(\d+)\.([01])\./, ([, index, kind], counts) => `down_blocks.${place(down(index!, counts), kind!)}`],
  [/^middle_block\.0\./, 'mid_block.resnets.0.'],
  [/^middle_block\.1\./, 'mid_block.attentions.0.'],
  [/^middle_block\.2\./, 'mid_block.resnets.1.'],
  [
    /^output_blocks\.(\d+)\.[12]\.conv\./,
    ([, index], counts) => `up_blocks.${up(index!, counts).level}.upsamplers.0.conv.`,
  ],
  [/^output_blocks\.(\d+)\.([01])\./, ([, index, kind], counts) => `up_blocks.${place(up(index!, counts), kind!)}`],
  [/^out\.0\./, 'conv_norm_out.'],
  [/^out\.2\./, 'conv_out.'],
  ...resnetRules,
];

const controlnetRules: readonly Rule[] = [
  [
    /^input_hint_block\.(\d+)\./,
    ([, index], { lastHint }) => `controlnet_cond_embedding.${hint(Number(index), lastHint)}.`,
  ],
  [/^zero_convs\.(\d+)\.0\./, 'controlnet_down_blocks.$1.'],
  [/^middle_block_out\.0\./, 'controlnet_mid_block.'],
  ...unetRules,
];

const vaeRules: readonly Rule[] = [
  [/^(encoder|decoder)\.norm_out\./, '$1.conv_norm_out.'],
  [/^(encoder|decoder)\.mid\.block_([12])\./, ([, half, index]) => `${half}.mid_block.resnets.${Number(index) - 1}.`],
  [/^(encoder|decoder)\.mid\.attn_1\.norm\./, '$1.mid_block.attentions.0.group_norm.'],
  [/^(encoder|decoder)\.mid\.attn_1\.proj_out\./, '$1.mid_block.attentions.0.to_out.0.'],
  [/^(encoder|decoder)\.mid\.attn_1\.([qkv])\./, '$1.mid_block.attentions.0.to_$2.'],
  // Some merging tools leave the later names here.
  [/^(encoder|decoder)\.mid\.attn_1\.(to_[qkv]|to_out\.0)\./, '$1.mid_block.attentions.0.$2.'],
  [/^encoder\.down\.(\d+)\.block\.(\d+)\./, 'encoder.down_blocks.$1.resnets.$2.'],
  [/^encoder\.down\.(\d+)\.downsample\.conv\./, 'encoder.down_blocks.$1.downsamplers.0.conv.'],
  [/^decoder\.up\.(\d+)\.block\.(\d+)\./, ([, level, layer], counts) => `${vaeUp(level!, counts)}.resnets.${layer}.`],
  [/^decoder\.up\.(\d+)\.upsample\.conv\./, ([, level], counts) => `${vaeUp(level!, counts)}.upsamplers.0.conv.`],
  [/\.nin_shortcut\./, '.conv_shortcut.'],
];

// Some merging tools have dropped the level `text_model`.
const textRules: readonly Rule[] = [[/^(?=embeddings\.|encoder\.|final_layer_norm\.)/, 'text_model.']];

const openClipRules: readonly Rule[] = [
  [/^token_embedding\.weight$/, 'text_model.embeddings.token_embedding.weight'],
  [/^positional_embedding$/, 'text_model.embeddings.position_embedding.weight'],
  [/^ln_final\./, 'text_model.final_layer_norm.'],
  [/^text_projection$/, 'text_projection.weight{transposed}'],
  [/^transformer\.resblocks\.(\d+)\.ln_([12])\./, 'text_model.encoder.layers.$1.layer_norm$2.'],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_fc\./, 'text_model.encoder.layers.$1.mlp.fc1.'],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_proj\./, 'text_model.encoder.layers.$1.mlp.fc2.'],
  [/^transformer\.resblocks\.(\d+)\.attn\.out_proj\./, 'text_model.encoder.layers.$1.self_attn.out_proj.'],
  [/^transformer\.resblocks\.(\d+)\.attn\.in_proj_/, 'text_model.encoder.layers.$1.self_attn.{q,k,v}_proj.'],
];

export const originalComponents: readonly OriginalComponent[] = [
  { component: 'unet', prefix: 'model.diffusion_model.', mark: 'input_blocks.0.0.weight', rules: unetRules },
  { component: 'controlnet', prefix: 'control_model.', mark: 'input_hint_block.0.weight', rules: controlnetRules },
  { component: 'vae', prefix: 'first_stage_model.', mark: 'decoder.mid.block_1.norm1.weight', rules: vaeRules },
  { component: 'textEncoder', prefix: 'cond_stage_model.transformer.', rules: textRules },
  { component: 'textEncoder', prefix: 'conditioner.embedders.0.transformer.', rules: textRules },
  { component: 'textEncoder2', prefix: 'conditioner.embedders.1.model.', rules: openClipRules },
];

/** What training leaves in a checkpoint: noise tables, averages beside the plain weights, the loss of a VAE. */
const leftovers: readonly RegExp[] = [
  /^(alphas_cumprod|alphas_cumprod_prev|betas|logvar|scale_factor|lvlb_weights)$/,
  /^(sqrt|log)_(one_minus_)?(recip_|recipm1_)?alphas_cumprod$/,
  /^posterior_(variance|log_variance_clipped|mean_coef[12])$/,
  /^denoiser\.sigmas$/,
  /^model_ema\./,
  /^(first_stage_model\.)?(loss|model_ema)\./,
  /^conditioner\.embedders\.(0|1\.model)\.logit_scale$/,
  // Of tools that saved the second text encoder as they had it in memory.
  /^conditioner\.embedders\.1\.model\.transformer\.text_model\.embeddings\.position_ids$/,
];

export function isLeftover(name: string): boolean {
  return leftovers.some((pattern) => pattern.test(name));
}

/** The name without its component's prefix, renamed; itself where no rule is about it. */
export function renamed(name: string, rules: readonly Rule[], counts: Counts): string {
  let result = name;
  for (const [pattern, replacement] of rules) {
    result =
      typeof replacement === 'string'
        ? result.replace(pattern, replacement)
        : result.replace(pattern, (...match: string[]) => replacement(match, counts));
  }
  return result;
}

/** @param names without the prefix of their component */
export function countsOf(names: readonly string[]): Counts {
  const numbers = (pattern: RegExp): number[] =>
    names.flatMap((name) => {
      const found = pattern.exec(name)?.[1];
      return found === undefined ? [] : [Number(found)];
    });
  const highest = (found: readonly number[]): number => found.reduce((a, b) => Math.max(a, b), -1);
  const lowest = (found: readonly number[]): number => found.reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER);
  return {
    perLevel: lowest(numbers(/^input_blocks\.(\d+)\.0\.op\.weight$/)),
    vaeLevels: highest(numbers(/^decoder\.up\.(\d+)\./)) + 1,
    lastHint: highest(numbers(/^input_hint_block\.(\d+)\./)),
  };
}

interface Place {
  level: number;
  layer: number;
}

/** Entry 0 is the first convolution. */
function down(index: string, { perLevel }: Counts): Place {
  return { level: Math.floor((Number(index) - 1) / perLevel), layer: (Number(index) - 1) % perLevel };
}

/** On the way up a level has one resnet more, and its upsampler in the entry of the last one. */
function up(index: string, { perLevel }: Counts): Place {
  return { level: Math.floor(Number(index) / perLevel), layer: Number(index) % perLevel };
}

function place({ level, layer }: Place, kind: string): string {
  return `${level}.${kind === '0' ? 'resnets' : 'attentions'}.${layer}.`;
}

/** The original counts the levels of the decoder from the largest picture. */
function vaeUp(level: string, { vaeLevels }: Counts): string {
  return `decoder.up_blocks.${vaeLevels - 1 - Number(level)}`;
}

/** Every second entry is an activation. */
function hint(index: number, last: number): string {
  if (index === 0) return 'conv_in';
  return index === last ? 'conv_out' : `blocks.${index / 2 - 1}`;
}
