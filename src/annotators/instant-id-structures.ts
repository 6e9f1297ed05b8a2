/** What instant-id's ControlNets follow. */
import type { Annotator } from './annotator.ts';
import { canny } from './canny.ts';
import { depth } from './depth.ts';
import { pose } from './pose.ts';

export const poseStructure: Annotator = pose;
export const cannyStructure: Annotator = { weights: [], annotate: (photograph) => canny(photograph, 100, 200) };
export const depthStructure: Annotator = depth;
