import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { expect } from 'vitest';
import { CanceledError } from '../../src/base/errors.ts';
import type { InputOf } from '../../src/catalog/fields.ts';
import type { OutputFile, PredictContext } from '../../src/catalog/model.ts';
import faceToMany from '../../src/models/face-to-many.ts';
import { miniContext } from './mini-context.ts';
import { remembering } from './remembering.ts';

export type Request = InputOf<typeof faceToMany.inputs>;

const portrait = fileURLToPath(new URL('../fixtures/photos/eileen-collins.jpg', import.meta.url));

/** face-to-many on the mini set, in which a network that was asked something before answers from memory. */
export async function faceToManyRequests() {
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-faces-'));
  const mini = miniContext();
  const context = { ...mini, residency: remembering(mini.residency) };
  const place = (name: string): string => join(folder, name);
  /** Narrow, so that the picture is small: its longer side is always 1024. */
  const [strip, otherStrip] = [place('strip.png'), place('other-strip.png')];
  const part = { top: 0, width: 131, height: 512 };
  await sharp(portrait)
    .extract({ left: 100, ...part })
    .toFile(strip);
  await sharp(portrait)
    .extract({ left: 250, ...part })
    .toFile(otherStrip);

  const request: Request = {
    image: strip,
    style: '3D',
    prompt: 'a person',
    negative_prompt: '',
    denoising_strength: 0.65,
    prompt_strength: 4.5,
    // Depth takes more time than the rest together.
    control_depth_strength: 0,
    instant_id_strength: 1,
    seed: 7,
    custom_lora_url: undefined,
    lora_scale: 1,
  };

  async function predict(changes: Partial<Request>, surroundings: PredictContext = context): Promise<OutputFile[]> {
    const files: OutputFile[] = [];
    for await (const file of faceToMany.predict({ ...request, ...changes }, surroundings)) files.push(file);
    return files;
  }

  /** What the latents look like after a step, which is as far as it runs. */
  async function look(changes: Partial<Request>, surroundings: PredictContext = context): Promise<string> {
    let stop = false;
    let seen = '';
    const signal = {
      aborted: false,
      throwIfAborted() {
        if (stop) throw new CanceledError();
      },
    };
    const watched: PredictContext = {
      ...surroundings,
      signal,
      step: (current) => {
        stop = current === 1;
      },
      preview: (draw) => {
        seen = Buffer.from(draw().data).toString('base64');
      },
    };
    await expect(predict(changes, watched)).rejects.toBeInstanceOf(CanceledError);
    expect(seen).not.toBe('');
    return seen;
  }

  async function close(): Promise<void> {
    await context.close();
    rmSync(folder, { recursive: true });
  }

  return { context, place, strip, otherStrip, request, predict, look, close };
}
