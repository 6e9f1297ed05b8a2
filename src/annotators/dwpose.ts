/**
 * The same picture of bodies as `pose.ts`, from networks that may be used commercially: DWPose (Yang et al., arXiv
 * 2307.15880), which finds persons first and then the joints of each; after IDEA-Research/DWPose at 3dca5db
 * `annotator/dwpose/`. Each network gets the colours in the order that it was trained with, where the original gives both
 * the same.
 *
 * Not here: hands and faces, which the ControlNet was not trained on; a guess at a body where no person was found.
 */
import { join } from 'node:path';
import type { Tensor } from '../math/tensor.ts';
import { onnxFileNetwork } from '../networks/onnx-file-network.ts';
import type { Annotator } from './annotator.ts';
import { jointFinderInput, jointFinderShapes, readBody, viewOf } from './body-joints.ts';
import { resizeForDetection } from './detect-size.ts';
import { detectorInput, detectorScale, personDetectorShapes, readPersons } from './person-boxes.ts';
import { type Body, drawBodies } from './pose-drawing.ts';

const detectionSize = 512;
const files = { detector: 'yolox_l.onnx', jointFinder: 'dw-ll_ucoco_384.onnx' };

/** Black where nobody is found. */
export const dwpose: Annotator = {
  weights: [
    {
      repository: 'yzd-v/DWPose',
      files: Object.values(files),
      licence: 'Apache 2.0',
      commercialUse: true,
    },
  ],
  async annotate(photograph, { folders, residency }) {
    const picture = await resizeForDetection(photograph, detectionSize);
    const [folder] = folders as [string];
    const images = await detectorInput(picture);
    const detector = onnxFileNetwork(join(folder, files.detector), personDetectorShapes);
    const { output } = await residency.use(detector, (session) => session.run({ images }));
    const persons = readPersons(output as Tensor<'float32'>, detectorScale(picture));
    const bodies: Body[] = [];
    if (persons.length > 0) {
      const jointFinder = onnxFileNetwork(join(folder, files.jointFinder), jointFinderShapes);
      await residency.use(jointFinder, async (session) => {
        for (const person of persons) {
          const view = viewOf(person);
          const found = await session.run({ input: await jointFinderInput(picture, view) });
          bodies.push(readBody(found as Record<'simcc_x' | 'simcc_y', Tensor<'float32'>>, view));
        }
      });
    }
    return drawBodies(bodies, picture.width, picture.height);
  },
};
