/** A Stable Diffusion XL in diffusers' folders, written as one file in the layout of its training code. */
import { join } from 'node:path';
import { presentFile } from '../../src/weights/network-files.ts';
import { originalName } from '../../src/weights/original-layout.ts';
import { inOwnOrder } from '../../src/weights/read-tensor.ts';
import { readBytes } from '../../src/weights/safetensors.ts';
import { readWeightFile } from '../../src/weights/weight-formats.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/weights/write-safetensors.ts';

type Tensors = Map<string, TensorToWrite & { bytes: Uint8Array }>;

export async function writeSingleFile(base: string, destination: string): Promise<void> {
  const network = 'diffusion_pytorch_model';
  const unet = await tensorsOf(join(base, 'unet', network));
  const resnets = [...unet.keys()].filter((name) => /^down_blocks\.0\.resnets\.\d+\.conv1\.weight$/.test(name)).length;
  const vae = [...(await tensorsOf(join(base, 'vae', network)))].map(([name, tensor]) => {
    const isMatrix = name.includes('.attentions.') && tensor.shape.length === 2;
    return [name, isMatrix ? { ...tensor, shape: [...tensor.shape, 1, 1] } : tensor] as const;
  });
  const all: Tensors = new Map([
    ...renamed(unet, originalName('unet', resnets)),
    ...renamed(vae, originalName('vae')),
    ...renamed(
      await tensorsOf(join(base, 'text_encoder', 'model')),
      (name) => `conditioner.embedders.0.transformer.${name}`,
    ),
    ...renamed(
      openClip(await tensorsOf(join(base, 'text_encoder_2', 'model'))),
      (name) => `conditioner.embedders.1.model.${name}`,
    ),
  ]);
  await writeSafetensors(destination, all);
}

async function tensorsOf(stem: string): Promise<Tensors> {
  const tensors: Tensors = new Map();
  for (const [name, reference] of await readWeightFile((await presentFile(`${stem}.safetensors`))!)) {
    const { dtype, shape } = reference;
    tensors.set(name, { dtype, shape, bytes: inOwnOrder(await readBytes(reference), reference) });
  }
  return tensors;
}

function renamed(
  tensors: Iterable<readonly [string, TensorToWrite & { bytes: Uint8Array }]>,
  rename: (name: string) => string,
): Tensors {
  return new Map([...tensors].map(([name, tensor]) => [rename(name), tensor]));
}

/** Query, key and value as one, the projection the other way round. */
function openClip(tensors: Tensors): Tensors {
  const converted: Tensors = new Map();
  for (const [name, tensor] of tensors) {
    const fused = /^(.*\.self_attn)\.([qkv])_proj\.(weight|bias)$/.exec(name);
    if (fused && fused[2] !== 'q') continue;
    const three =
      fused && ['q', 'k', 'v'].map((letter) => tensors.get(`${fused[1]}.${letter}_proj.${fused[3]}`)!.bytes);
    const rows = tensor.shape[0]!;
    const stored = three
      ? { ...tensor, shape: tensor.shape.with(0, 3 * rows), bytes: Buffer.concat(three) }
      : name === 'text_projection.weight'
        ? transposed(tensor)
        : tensor;
    converted.set(openClipName(name), stored);
  }
  return converted;
}

function transposed(tensor: TensorToWrite & { bytes: Uint8Array }): TensorToWrite & { bytes: Uint8Array } {
  const [rows, columns] = tensor.shape as [number, number];
  const size = tensor.bytes.length / (rows * columns);
  const bytes = new Uint8Array(tensor.bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * size;
      bytes.set(tensor.bytes.subarray(from, from + size), (column * rows + row) * size);
    }
  }
  return { ...tensor, shape: [columns, rows], bytes };
}

function openClipName(name: string): string {
  return name
    .replace(/^text_model\.embeddings\.token_embedding\./, 'token_embedding.')
    .replace(/^text_model\.embeddings\.position_embedding\.weight$/, 'positional_embedding')
    .replace(/^text_model\.final_layer_norm\./, 'ln_final.')
    .replace(/^text_projection\.weight$/, 'text_projection')
    .replace(/^text_model\.encoder\.layers\./, 'transformer.resblocks.')
    .replace(/\.layer_norm([12])\./, '.ln_$1.')
    .replace(/\.mlp\.fc1\./, '.mlp.c_fc.')
    .replace(/\.mlp\.fc2\./, '.mlp.c_proj.')
    .replace(/\.self_attn\.q_proj\./, '.attn.in_proj_')
    .replace(/\.self_attn\./, '.attn.');
}
