/**
 * The bodies of persons, as two releases of huggingface/controlnet_aux `open_pose/` draw them from the maps of OpenPose's
 * network: v0.0.3 and v0.0.7, which resizes in another way and draws one person after the other. The weights may not be
 * used commercially; `dwpose.ts` is free of that.
 *
 * Not here: hands and faces, which the original leaves out too; other scales than half.
 */
import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import type { Raster } from '../base/raster.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import type { Annotator, AnnotatorContext } from './annotator.ts';
import { resizeBoundedForDetection, resizeForDetection } from './detect-size.ts';
import { openposeNetwork, openposeStride } from './openpose.ts';
import { findBodies } from './pose-bodies.ts';
import { type Body, drawBodies, drawOneByOne } from './pose-drawing.ts';
import { resizeCubic } from './resize-cubic.ts';

const detectionSize = 512;
/** Height that the network was trained on, and how much of it the picture gets. */
const trainingHeight = 368;
const scale = 0.5;
const padding = 128;

const weights = {
  repository: 'lllyasviel/Annotators',
  revision: '982e7edaec38759d914a963c48c4726685de7d96',
  files: [
    {
      path: 'body_pose_model.pth',
      bytes: 209_267_595,
      sha256: '25a948c16078b0f08e236bda51a385d855ef4c153598947c28c0d47ed94bb746',
    },
  ],
  licence: 'OpenPose: academic or non-profit organization, non-commercial research use only',
  commercialUse: false,
} as const;

/** In what the releases differ. */
interface Release {
  resize(photograph: RgbImage, resolution: number): Promise<RgbImage>;
  scale(picture: RgbImage, factor: number): Promise<Raster<Uint8Array>>;
  /** Of the maps, when they are enlarged. */
  interpolation: 'cubic' | 'lanczos4';
  draw(bodies: readonly Body[], width: number, height: number): Promise<RgbImage>;
}

export const pose = poseAnnotator({
  resize: resizeForDetection,
  scale: async (picture, factor) => resizeCubic(picture, factor),
  interpolation: 'cubic',
  draw: drawBodies,
});

export const poseOfLaterRelease = poseAnnotator({
  // instant-id has resized it: of at most 20 times as long as wide it becomes 10240×512 pixels, which are looked at map by map.
  resize: resizeBoundedForDetection,
  // `smart_resize_k`, which never enlarges here.
  async scale(picture, factor) {
    const { resize } = await openCv();
    return resize(picture, Math.trunc(picture.width * factor), Math.trunc(picture.height * factor), 'area');
  },
  interpolation: 'lanczos4',
  draw: drawOneByOne,
});

/** Black where nobody is found. */
function poseAnnotator(release: Release): Annotator {
  return { weights: [weights], annotate: (photograph, context) => annotate(photograph, context, release) };
}

async function annotate(
  photograph: RgbImage,
  { folders, residency }: AnnotatorContext,
  release: Release,
): Promise<RgbImage> {
  const picture = await release.resize(photograph, detectionSize);
  const { width, height } = picture;
  const scaled = await release.scale(picture, (scale * trainingHeight) / height);
  const image = networkInput(scaled);
  const [, , rows, columns] = image.dims as [number, number, number, number];
  const network = openposeNetwork(join(folders[0]!, weights.files[0].path), { height: rows, width: columns });
  const maps = await residency.use(network, (session) => session.run({ image }));
  const { paf, heatmap } = maps as { paf: Tensor<'float32'>; heatmap: Tensor<'float32'> };
  const bodies = await findBodies({ paf, heatmap, scaled }, { width, height }, release.interpolation);
  return release.draw(bodies, width, height);
}

/** Blue first, from -0.5 to 0.5, grey on the right and at the bottom. [1, 3, H, W] */
function networkInput({ width, height, data }: Raster<Uint8Array>): Tensor<'float32'> {
  const rows = openposeStride * Math.ceil(height / openposeStride);
  const columns = openposeStride * Math.ceil(width / openposeStride);
  const image = float32([1, 3, rows, columns], new Float32Array(3 * rows * columns).fill(padding / 256 - 0.5));
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const value = data[(y * width + x) * 3 + 2 - channel]!;
        image.data[(channel * rows + y) * columns + x] = value / 256 - 0.5;
      }
    }
  }
  return image;
}
