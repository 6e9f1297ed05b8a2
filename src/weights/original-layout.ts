/** The way back from the names that networks ask for to those of the training code, for files that are made here. */
import { type Counts, originalComponents, renamed } from './original-names.ts';

/** As in Stable Diffusion 1.5. */
const resolutions = 4;

const insideResnet = ['in_layers.0.', 'in_layers.2.', 'emb_layers.1.', 'out_layers.0.', 'out_layers.3.'];

/** What names of a component may begin with; some begin no name, which does no harm. */
const beginnings = {
  unet: ({ perLevel }: Counts) => [
    ...['time_embed.0.', 'time_embed.2.', 'input_blocks.0.0.', 'out.0.', 'out.2.'],
    // Of Stable Diffusion XL.
    ...['label_emb.0.0.', 'label_emb.0.2.'],
    ...blocks('middle_block', [0, 1, 2]),
    ...upTo(resolutions * perLevel).flatMap((index) => [
      ...(index === 0 ? [] : [`input_blocks.${index}.0.op.`, ...blocks(`input_blocks.${index}`, [0, 1])]),
      // The lowest resolution has no attention in front of its upsampler.
      `output_blocks.${index}.${index === perLevel - 1 ? 1 : 2}.conv.`,
      ...blocks(`output_blocks.${index}`, [0, 1]),
    ]),
  ],
  vae: () =>
    ['encoder.', 'decoder.'].flatMap((half) => [
      ...['norm_out.', 'mid.block_1.', 'mid.block_2.'].map((name) => half + name),
      ...['norm.', 'proj_out.', 'q.', 'k.', 'v.'].map((name) => `${half}mid.attn_1.${name}`),
      ...upTo(resolutions).flatMap((level) => [
        ...[`${half}down.${level}.downsample.conv.`, `${half}up.${level}.upsample.conv.`],
        ...upTo(3).flatMap((layer) =>
          [`${half}down.${level}.block.${layer}.`, `${half}up.${level}.block.${layer}.`].flatMap((block) => [
            block,
            `${block}nin_shortcut.`,
          ]),
        ),
      ]),
    ]),
};

function blocks(name: string, parts: readonly number[]): string[] {
  return parts.flatMap((part) => [
    `${name}.${part}.`,
    ...[...insideResnet, 'skip_connection.'].map((inside) => `${name}.${part}.${inside}`),
  ]);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/**
 * What a tensor of a Stable Diffusion 1.5 is called in a checkpoint in one file: `conv_in.weight` of the UNet is
 * `model.diffusion_model.input_blocks.0.0.weight`. Found by trying what `original-names.ts` makes of each beginning.
 *
 * @param resnets at each resolution on the way down; the published ones have two
 */
export function originalName(component: keyof typeof beginnings, resnets = 2): (name: string) => string {
  const counts: Counts = { perLevel: resnets + 1, vaeLevels: resolutions, lastHint: 14 };
  const { prefix, rules } = originalComponents.find((candidate) => candidate.component === component)!;
  const back = new Map(beginnings[component](counts).map((begin) => [renamed(begin, rules, counts), begin]));
  return (name) => {
    const length = [...back.keys()].reduce(
      (longest, begin) => (name.startsWith(begin) ? Math.max(longest, begin.length) : longest),
      0,
    );
    const begin = name.slice(0, length);
    return prefix + (back.get(begin) ?? begin) + name.slice(length);
  };
}
