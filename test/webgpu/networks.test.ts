/** Every kernel of every network on ONNX Runtime's WebGPU provider, by a Vulkan driver that needs no GPU. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32 } from '../../src/math/tensor.ts';
import { createGraph } from '../../src/onnx/graph.ts';
import { scale } from '../../src/onnx/ops.ts';
import { writeModel } from '../../src/onnx/write.ts';
import { checkCase } from '../../src/parity/case.ts';
import { type OpenSession, openSession } from '../../src/runtime/session.ts';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';

const folder = fileURLToPath(new URL('../fixtures/networks/', import.meta.url));

/** As on the CPU: a few times the largest error measured (docs/numerics.md). */
const closest = 1e-5;

/** Has a convolution from six to eight channels, whose places the provider gets wrong (docs/decisions/webgpu-operators.md). */
const faulty = 'openpose';

/**
 * Cases whose every node, with its attributes, types and shapes, stands in another case too: no kernel is theirs alone. All
 * of them: `DARKROOM_DEVICE=webgpu npx darkroom parity test/fixtures/networks/*`.
 */
const ofOthers = [
  'clip-text-checkpoint',
  'clip-text-early-states',
  'clip-text-projection',
  'clip-vision',
  'clip-whole-vision',
  'lora-processors',
  'lora-text',
  'resampler-bin',
  'unet-controlnet',
  'unet-controlnet-batch',
  'unet-float16',
  'unet-sdxl',
];
/** Whose kinds of changes `lora-dora` has all together, with other sizes. */
const ofDora = ['lora-differences', 'lora-glora', 'lora-in-turn', 'lora-loha', 'lora-lokr'];
const elsewhere: ReadonlySet<string> = new Set([faulty, ...ofOthers, ...ofDora]);

describe.runIf(useSoftwareVulkan())('agrees with the reference on WebGPU', { timeout: 300_000 }, async () => {
  // While one session is open, the shaders that others compiled are kept: networks that are alike share them. It is also
  // how networks meet the shaders of others, as they do in an engine.
  let kept: OpenSession;
  beforeAll(async () => {
    const g = createGraph('kept');
    g.output('y', scale(g, g.input('x', 'float32', [2]), 3));
    kept = await openSession(writeModel(g), 'webgpu');
    const { y } = await kept.run({ x: float32([2], Float32Array.of(5, 7)) });
    expect(y!.data).toEqual(Float32Array.of(15, 21));
  });
  afterAll(() => kept.close());

  const agrees = async (name: string, annotate: (line: string) => Promise<unknown>): Promise<void> => {
    const { errors } = await checkCase(join(folder, name), 'webgpu');
    expect(errors).not.toEqual([]);
    for (const { output, relL2 } of errors) {
      await annotate(`${output}: relative L2 error ${relL2.toExponential(1)}`);
      expect(relL2, output).toBeLessThan(closest);
    }
  };
  const cases = await readdir(folder);
  test.for(cases.filter((name) => !elsewhere.has(name)))('%s', (name, { annotate }) => agrees(name, annotate));
  // Fails once the kernel is mended.
  test.fails(`${faulty} still meets a faulty kernel`, ({ annotate }) => agrees(faulty, annotate));
});
