import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import type { InputOf } from '../../src/catalog/fields.ts';
import type { OutputFile, PredictContext } from '../../src/catalog/model.ts';
import instantId from '../../src/models/instant-id.ts';
import { miniContext } from './mini-context.ts';

export type Request = InputOf<typeof instantId.inputs>;

const photo = (name: string): string => fileURLToPath(new URL(`../fixtures/photos/${name}`, import.meta.url));
export const portrait = photo('eileen-collins.jpg');
/** Of a photograph: nearly as long and narrow as one may be, so that what is drawn after it is small. */
const stripOfPortrait = { left: 90, top: 120, width: 320, height: 20 };

export const textOf = ({ bytes }: OutputFile): string => Buffer.from(bytes).toString('base64');

/** instant-id on the mini set, and a request that takes half a second. */
export async function instantIdRequests() {
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-instant-id-'));
  const context = miniContext();
  const place = (name: string): string => join(folder, name);
  const [strip, otherStrip, wider] = [place('strip.png'), place('other-strip.png'), place('wider.png')];
  await sharp(portrait).extract(stripOfPortrait).toFile(strip);
  await sharp(photo('cat.jpg')).extract({ left: 50, top: 90, width: 320, height: 20 }).toFile(otherStrip);
  await sharp(portrait).extract({ left: 20, top: 40, width: 450, height: 180 }).toFile(wider);

  const request: Request = {
    image: strip,
    pose_image: undefined,
    prompt: 'a bronze bust',
    negative_prompt: 'blurry',
    sdxl_weights: 'stable-diffusion-xl-base-1.0',
    scheduler: 'EulerDiscreteScheduler',
    num_inference_steps: 2,
    guidance_scale: 5,
    ip_adapter_scale: 0.8,
    controlnet_conditioning_scale: 0.8,
    enable_pose_controlnet: false,
    pose_strength: 0.4,
    enable_canny_controlnet: true,
    canny_strength: 0.3,
    enable_depth_controlnet: false,
    depth_strength: 0.5,
    enable_lcm: false,
    lcm_num_inference_steps: 2,
    lcm_guidance_scale: 1.5,
    enhance_nonface_region: true,
    output_format: 'png',
    output_quality: 80,
    seed: 7,
    num_outputs: 1,
    disable_safety_checker: false,
  };

  async function predict(changes: Partial<Request>, surroundings: PredictContext = context): Promise<OutputFile[]> {
    const files: OutputFile[] = [];
    for await (const file of instantId.predict({ ...request, ...changes }, surroundings)) files.push(file);
    return files;
  }

  /** The one picture of a request. */
  async function draw(changes: Partial<Request>): Promise<string> {
    const files = await predict(changes);
    if (files.length !== 1) throw new Error(`There are ${files.length} pictures.`);
    return textOf(files[0]!);
  }

  const drawn = new Map<string, Promise<string>>();
  /** The same, drawn once. */
  function only(changes: Partial<Request>): Promise<string> {
    const key = JSON.stringify(changes);
    const picture = drawn.get(key) ?? draw(changes);
    drawn.set(key, picture);
    return picture;
  }

  /** What is logged while something runs, and fails or not. */
  async function linesOf(run: () => Promise<unknown>): Promise<string[]> {
    const before = context.lines.length;
    await run();
    return context.lines.slice(before);
  }

  async function close(): Promise<void> {
    await context.close();
    rmSync(folder, { recursive: true });
  }

  return { context, place, strip, otherStrip, wider, request, predict, draw, only, linesOf, close };
}
