/** The predictions that whole-models.js makes; what they leave out is as the models' own defaults. */
import { fileURLToPath } from 'node:url';

const photograph = fileURLToPath(new URL('../test/fixtures/photos/eileen-collins.jpg', import.meta.url));

/**
 * @param steps of each prediction
 * @param structures of controlnet
 * @param nets of instant-id beside IdentityNet: pose, canny, depth
 * @param lcm whether instant-id has latent consistency
 * @returns the jobs of a run in their order, and the sets of full-size-files.js that they need
 */
export function jobsOf(what, { steps, structures, nets, lcm }) {
  const controlnet = (structure) => ({
    model: 'rossjillian/controlnet',
    input: {
      image: photograph,
      prompt: 'a bronze bust',
      negative_prompt: 'lowres',
      structure,
      steps,
      seed: 1,
      return_reference_image: true,
    },
    usualSteps: 20,
  });
  const animateDiff = {
    model: 'lucataco/animate-diff',
    input: { prompt: 'cherry blossoms', n_prompt: 'blurry', steps, seed: 1 },
    usualSteps: 25,
  };
  const instantId = {
    model: 'zsxkib/instant-id',
    input: {
      image: photograph,
      seed: 1,
      enable_lcm: lcm,
      [lcm ? 'lcm_num_inference_steps' : 'num_inference_steps']: steps,
      ...Object.fromEntries(['pose', 'canny', 'depth'].map((net) => [`enable_${net}_controlnet`, nets.includes(net)])),
    },
    usualSteps: lcm ? 5 : 30,
  };
  const photomaker = {
    model: 'tencentarc/photomaker',
    input: { input_image: photograph, prompt: 'a photo of a woman img', num_steps: steps, seed: 1 },
    usualSteps: 20,
  };
  const faceToMany = {
    model: 'fofr/face-to-many',
    input: { image: photograph, style: '3D', seed: 1 },
    usualSteps: 17,
    // It always takes as many: with fewer, what comes after them is left out.
    stopAfter: steps < 17 ? steps : undefined,
  };
  const runs = {
    controlnet: { jobs: structures.map(controlnet), files: ['controlnet'] },
    'animate-diff': { jobs: [animateDiff], files: ['animate-diff'] },
    turns: {
      jobs: [controlnet('canny'), animateDiff, controlnet('canny')],
      files: ['controlnet', 'animate-diff'],
    },
    'instant-id': {
      jobs: [instantId],
      files: ['instant-id', ...(lcm || nets.some((net) => net !== 'pose') ? ['instant-id-all'] : [])],
    },
    photomaker: { jobs: [photomaker], files: ['photomaker'] },
    'face-to-many': { jobs: [faceToMany], files: ['face-to-many'] },
  };
  if (!Object.hasOwn(runs, what)) throw new Error(`There is no ${what}, only ${Object.keys(runs).join(', ')}.`);
  return runs[what];
}
