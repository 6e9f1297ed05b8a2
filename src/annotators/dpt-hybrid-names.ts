/**
 * The names of DPT-hybrid's tensors in the layout of huggingface/transformers, and what MiDaS calls the same tensors;
 * after transformers v4.36.2 `models/dpt/convert_dpt_hybrid_to_pytorch.py`. Query, key and value, which MiDaS has as one
 * matrix, are named after the part of it that they are.
 */
const backbone = 'pretrained.model.patch_embed.backbone';
const block = 'pretrained.model.blocks.#';
const layer = 'dpt.encoder.layer.#';

/** What names begin with; `#` is a number. */
const pairs: readonly (readonly [transformers: string, midas: string])[] = [
  ['dpt.embeddings.backbone.bit.embedder.convolution.', `${backbone}.stem.conv.`],
  ['dpt.embeddings.backbone.bit.embedder.norm.', `${backbone}.stem.norm.`],
  ['dpt.embeddings.backbone.bit.encoder.stages.#.layers.#.', `${backbone}.stages.#.blocks.#.`],
  ['dpt.embeddings.projection.', 'pretrained.model.patch_embed.proj.'],
  ['dpt.embeddings.cls_token', 'pretrained.model.cls_token'],
  ['dpt.embeddings.position_embeddings', 'pretrained.model.pos_embed'],
  [`${layer}.layernorm_before.`, `${block}.norm1.`],
  [`${layer}.attention.attention.query.`, `${block}.attn.qkv.query.`],
  [`${layer}.attention.attention.key.`, `${block}.attn.qkv.key.`],
  [`${layer}.attention.attention.value.`, `${block}.attn.qkv.value.`],
  [`${layer}.attention.output.dense.`, `${block}.attn.proj.`],
  [`${layer}.layernorm_after.`, `${block}.norm2.`],
  [`${layer}.intermediate.dense.`, `${block}.mlp.fc1.`],
  [`${layer}.output.dense.`, `${block}.mlp.fc2.`],
  ['dpt.layernorm.', 'pretrained.model.norm.'],
  ...[3, 4].flatMap((level) => [
    [
      `neck.reassemble_stage.readout_projects.${level - 1}.0.`,
      `pretrained.act_postprocess${level}.0.project.0.`,
    ] as const,
    [`neck.reassemble_stage.layers.${level - 1}.projection.`, `pretrained.act_postprocess${level}.3.`] as const,
  ]),
  ['neck.reassemble_stage.layers.3.resize.', 'pretrained.act_postprocess4.4.'],
  ...[1, 2, 3, 4].flatMap((level) => {
    const [fusion, refinenet] = [`neck.fusion_stage.layers.${4 - level}`, `scratch.refinenet${level}`];
    return [
      [`neck.convs.${level - 1}.`, `scratch.layer${level}_rn.`] as const,
      [`${fusion}.projection.`, `${refinenet}.out_conv.`] as const,
      ...[1, 2].flatMap((unit) =>
        [1, 2].map(
          (convolution) =>
            [
              `${fusion}.residual_layer${unit}.convolution${convolution}.`,
              `${refinenet}.resConfUnit${unit}.conv${convolution}.`,
            ] as const,
        ),
      ),
    ];
  }),
  ['head.head.#.', 'scratch.output_conv.#.'],
];

/** A name that belongs to no part of the network stays as it is. */
export function midasName(name: string): string {
  return renamed(name, 0, 1);
}

export function transformersName(name: string): string {
  return renamed(name, 1, 0);
}

function renamed(name: string, from: 0 | 1, to: 0 | 1): string {
  for (const pair of pairs) {
    const match = new RegExp(`^${pair[from].replaceAll('.', '\\.').replaceAll('#', '(\\d+)')}`).exec(name);
    if (!match) continue;
    const numbers = match.slice(1);
    return pair[to].replaceAll('#', () => numbers.shift()!) + name.slice(match[0].length);
  }
  return name;
}
