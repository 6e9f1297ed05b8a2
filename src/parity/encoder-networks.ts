/** Cases of the encoders of text and pictures, and of what maps their results. */
import { InputError } from '../base/errors.ts';
import { float32 } from '../math/tensor.ts';
import { clipTextConfig, clipVisionConfig } from '../networks/clip-config.ts';
import { type ClipTextOutput, clipTextModel } from '../networks/clip-text.ts';
import { type ClipVisionOutput, clipVisionModel } from '../networks/clip-vision.ts';
import { photomakerIdConfig, photomakerIdModel } from '../networks/photomaker-id.ts';
import { resamplerConfig, resamplerModel } from '../networks/resampler.ts';
import { type Cosines, judgeSafety, safetyCheckerConfig, safetyCheckerModel } from '../networks/safety-checker.ts';
import { vaeDecoderConfig, vaeEncoderConfig } from '../networks/vae-config.ts';
import { vaeDecoderModel } from '../networks/vae-decoder.ts';
import { vaeEncoderModel } from '../networks/vae-encoder.ts';
import { openWeights } from '../weights/scope.ts';
import { withCaseLoras } from './case-loras.ts';
import { type CaseFiles, type CaseNetwork, inputDims, refuseOptions, type Tensors } from './network.ts';

export const encoderNetworks: Readonly<Record<string, CaseNetwork>> = {
  async 'clip-text'(files) {
    const [batch, length] = inputDims(files.inputs, 'input_ids', 2) as [number, number];
    const outputs = knownOutputs<ClipTextOutput>(
      files,
      ['last_hidden_state', 'pooler_output', 'text_embeds'],
      ['loras'],
    );
    const plain = await openWeights(files.weights, textEncoderOf(files));
    // Of SDXL's two text encoders, which one LoRA may both have parts for, only the second has a projection.
    const target = plain.has('text_projection.weight') ? 'textEncoder2' : 'textEncoder';
    const { weights, feeds } = await withCaseLoras(files, plain, target);
    const config = clipTextConfig(files.config, weights);
    return {
      model: clipTextModel({ config, weights }, { batch, length }, outputs),
      feeds: { ...files.inputs, ...feeds },
    };
  },

  async 'clip-vision'(files) {
    const [batch] = inputDims(files.inputs, 'pixel_values', 4) as [number];
    const outputs = knownOutputs<ClipVisionOutput>(files, ['last_hidden_state', 'pooler_output', 'image_embeds']);
    const weights = await openWeights(files.weights);
    const config = clipVisionConfig(files.config, weights, 'vision_model');
    return { model: clipVisionModel({ config, weights }, { batch }, outputs) };
  },

  async 'vae-encoder'(files) {
    refuseOptions(files, []);
    const [batch, , height, width] = inputDims(files.inputs, 'sample', 4) as [number, number, number, number];
    const weights = await openWeights(files.weights, 'vae');
    const config = vaeEncoderConfig(files.config, weights);
    return { model: vaeEncoderModel({ config, weights }, { batch, height, width }) };
  },

  async 'vae-decoder'(files) {
    refuseOptions(files, []);
    const [batch, , height, width] = inputDims(files.inputs, 'latents', 4) as [number, number, number, number];
    const weights = await openWeights(files.weights, 'vae');
    const config = vaeDecoderConfig(files.config, weights);
    return { model: vaeDecoderModel({ config, weights }, { batch, height, width }) };
  },

  async resampler(files) {
    refuseOptions(files, []);
    const [batch, length] = inputDims(files.inputs, 'embeds', 3) as [number, number];
    const weights = await openWeights(files.weights);
    return {
      model: resamplerModel({ config: resamplerConfig(files.config ?? {}, weights), weights }, { batch, length }),
    };
  },

  async 'photomaker-id'(files) {
    refuseOptions(files, []);
    const [, photos] = inputDims(files.inputs, 'id_pixel_values', 5) as [number, number];
    const [, textLength] = inputDims(files.inputs, 'prompt_embeds', 3) as [number, number];
    const weights = await openWeights(files.weights);
    const config = photomakerIdConfig(files.config ?? {}, weights);
    return { model: photomakerIdModel({ config, weights }, { photos, textLength }) };
  },

  async 'safety-checker'(files) {
    refuseOptions(files, []);
    const [batch] = inputDims(files.inputs, 'clip_input', 4) as [number];
    const weights = await openWeights(files.weights);
    const config = safetyCheckerConfig(files.config, weights);
    return { model: safetyCheckerModel({ config, weights }, { batch }), finish: asReference };
  },
};

/** Which of a checkpoint's text encoders a case is about: Stable Diffusion XL has two, the second with a projection. */
function textEncoderOf({ config, outputs }: CaseFiles): 'textEncoder' | 'textEncoder2' {
  const [architecture] = (config as { architectures?: unknown[] } | undefined)?.architectures ?? [];
  const projects = architecture === 'CLIPTextModelWithProjection' || outputs.includes('text_embeds');
  return projects ? 'textEncoder2' : 'textEncoder';
}

function asReference(results: Tensors): Tensors {
  const verdicts = judgeSafety(results as unknown as Cosines);
  const concepts = verdicts[0]!.scores.length;
  const flags = BigInt64Array.from(verdicts, ({ nsfw }) => BigInt(nsfw));
  return {
    has_nsfw_concepts: { type: 'int64', dims: [verdicts.length], data: flags },
    scores: float32([verdicts.length, concepts], Float32Array.from(verdicts.flatMap(({ scores }) => scores))),
  };
}

/** The expected outputs, of which these and the hidden states can be computed. */
function knownOutputs<Output extends string>(
  files: CaseFiles,
  names: readonly Output[],
  options: readonly string[] = [],
): Output[] {
  refuseOptions(files, options);
  const unknown = files.outputs.filter((output) => !names.includes(output as Output) && !isHiddenState(output));
  if (unknown.length === 0) return files.outputs as Output[];
  throw new InputError(`It expects ${unknown.join(', ')}; this network has ${names.join(', ')} and hidden_states.N.`);
}

function isHiddenState(output: string): boolean {
  return /^hidden_states\.\d+$/.test(output);
}
