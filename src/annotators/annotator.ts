import type { RgbImage } from '../base/image.ts';
import type { WeightRepository } from '../catalog/model.ts';
import type { Residency } from '../runtime/residency.ts';

/** What turns a photograph into the picture of its structure that a ControlNet was trained on. */
export interface Annotator {
  /** Published weights of its networks; empty where it is an algorithm alone. */
  weights: readonly WeightRepository[];
  /**
   * @returns a picture of the size that the original's annotator returns, which is not always the photograph's
   * @throws InputError when nothing can be made of the photograph
   */
  annotate(photograph: RgbImage, context: AnnotatorContext): Promise<RgbImage>;
}

export interface AnnotatorContext {
  /** Where the weights lie on this disk, in the order of `weights`. */
  folders: readonly string[];
  residency: Residency;
}
