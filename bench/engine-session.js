/** The Darkroom side of `engine.js`: loads the networks, then answers `step` and `save`. */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { unetModel } from '../dist/networks/unet.js';
import { controlnetConfig, unetConfig } from '../dist/networks/unet-config.js';
import { vaeDecoderConfig } from '../dist/networks/vae-config.js';
import { vaeDecoderModel } from '../dist/networks/vae-decoder.js';
import { openSession } from '../dist/runtime/session.js';
import { readConfig } from '../dist/weights/network-files.js';
import { readTensor } from '../dist/weights/read-tensor.js';
import { readSafetensors } from '../dist/weights/safetensors.js';
import { openWeights } from '../dist/weights/scope.js';
import { writeSafetensors } from '../dist/weights/write-safetensors.js';

const [network, folder] = process.argv.slice(2);
const { tensors } = await readSafetensors(join(folder, 'inputs.safetensors'));
const feeds = {};
for (const [name, tensor] of tensors) feeds[name] = await readTensor(tensor);
await import('onnxruntime-node');

const started = performance.now();
const json = await readConfig(join(folder, 'config.json'));
const model = network === 'vae' ? await vaeModel() : await unetWithControlnet();
const built = performance.now();
const session = await openSession(model, 'cpu');
answer({
  buildMilliseconds: Math.round(built - started),
  openMilliseconds: Math.round(performance.now() - built),
  graphBytes: model.bytes.byteLength,
});

let outputs;
for await (const question of createInterface({ input: process.stdin })) {
  if (question === 'step') {
    const [before, used] = [performance.now(), process.cpuUsage()];
    outputs = await session.run(feeds);
    const { user, system } = process.cpuUsage(used);
    answer({ seconds: (performance.now() - before) / 1000, processorSeconds: (user + system) / 1e6 });
  } else {
    const { dims, data } = outputs.sample;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    await writeSafetensors(
      join(folder, 'darkroom-output.safetensors'),
      new Map([['sample', { dtype: 'F32', shape: dims, bytes }]]),
    );
    answer({});
  }
}
await session.close();

function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function unetWithControlnet() {
  const weights = await openWeights([join(folder, 'unet.safetensors')]);
  const control = await openWeights([join(folder, 'controlnet.safetensors')]);
  const [batch, , height, width] = feeds.sample.dims;
  return unetModel(
    { config: unetConfig(json, weights), weights },
    { batch, height, width, textLength: feeds.encoder_hidden_states.dims[1] },
    { controlnets: [{ config: controlnetConfig(json, control), weights: control, conditionBatch: 1 }] },
  );
}

async function vaeModel() {
  const weights = await openWeights([join(folder, 'vae.safetensors')]);
  const [batch, , height, width] = feeds.latents.dims;
  return vaeDecoderModel({ config: vaeDecoderConfig(json, weights), weights }, { batch, height, width });
}
