/**
 * What it costs to load the UNet of Stable Diffusion XL at full size with LoRAs on every one of its layers: nodes of the graph,
 * time to build it, and to open it in ONNX Runtime.
 *
 *   npm run build && node bench/lora-load.js [part of the names of kinds]
 *
 * No weights are read to load a network, so its files are all zeros that take no room on the disk, of the recorded names and
 * shapes; those of LoRAs are half floats of rank 16. Prints one JSON object. Seconds of the processor, which other work on
 * the machine disturbs less than the clock.
 */
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, open } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { unetModel } from '../dist/networks/unet.js';
import { unetConfig } from '../dist/networks/unet-config.js';
import { openSession } from '../dist/runtime/session.js';
import { openLoras, withLoras } from '../dist/weights/lora.js';
import { openWeights } from '../dist/weights/scope.js';
import { singleFilePart } from '../dist/weights/single-file.js';

const rank = 16;
const shape = { batch: 1, height: 128, width: 128, textLength: 77 };
const kinds = {
  none: [],
  LoRA: [lowRank],
  LoHa: [loha],
  DoRA: [dora],
  'two DoRAs in turn': [dora, dora],
  'LoRA, DoRA and LoHa in turn': [lowRank, dora, loha],
};

const folder = await mkdtemp(join(tmpdir(), 'darkroom-lora-load-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const header = JSON.parse(readFileSync(new URL('../test/fixtures/headers/sdxl-unet.json', import.meta.url), 'utf8'));
const file = join(folder, 'unet.safetensors');
await writeZeros(file, Object.fromEntries(Object.entries(header).map(([name, [, dims]]) => [name, ['F32', dims]])));
const load = loadavg()[0];
const results = [];
for (const [name, loras] of Object.entries(kinds)) {
  if (name.includes(process.argv[2] ?? '')) results.push({ name, ...(await opened(loras)) });
}
const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load };
console.log(JSON.stringify({ ...machine, shape, rank, results }, null, 2));

async function opened(loras) {
  const files = [];
  for (const [index, tensorsOf] of loras.entries()) {
    const path = join(folder, `${tensorsOf.name}-${index}.safetensors`);
    const layers = Object.entries(header).filter(([, [, dims]]) => dims.length > 1);
    const tensors = layers.flatMap(([name, [, [out, inside, ...kernel]]]) => {
      const layer = `lora_unet_${name.replace(/\.weight$/, '').replaceAll('.', '_')}`;
      return Object.entries(tensorsOf(out, inside, kernel)).map(([part, dims]) => [`${layer}.${part}`, ['F16', dims]]);
    });
    await writeZeros(path, Object.fromEntries(tensors));
    files.push(path);
  }
  let used = process.cpuUsage();
  const seconds = () => {
    const { user, system } = process.cpuUsage(used);
    used = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const plain = await openWeights([file]);
  const config = unetConfig(singleFilePart(join(folder, 'unet')).config, plain);
  const model = unetModel({ config, weights: withLoras(plain, await openLoras(files, 'unet')) }, shape);
  const buildSeconds = seconds();
  const session = await openSession(model, 'cpu');
  const openSeconds = seconds();
  await session.close();
  return { graphBytes: model.bytes.length, buildSeconds, openSeconds };
}

function lowRank(out, inside, kernel) {
  const ones = kernel.map(() => 1);
  return { 'lora_down.weight': [rank, inside, ...kernel], 'lora_up.weight': [out, rank, ...ones] };
}

function dora(out, inside, kernel) {
  return { ...lowRank(out, inside, kernel), dora_scale: [1, inside, ...kernel.map(() => 1)] };
}

function loha(out, inside, kernel) {
  const columns = kernel.reduce((product, side) => product * side, inside);
  return {
    ...{ hada_w1_a: [out, rank], hada_w1_b: [rank, columns] },
    ...{ hada_w2_a: [out, rank], hada_w2_b: [rank, columns] },
  };
}

/** A safetensors file whose data was never written. */
async function writeZeros(path, tensors) {
  const described = {};
  let length = 0;
  for (const [name, [dtype, dims]] of Object.entries(tensors)) {
    const end = length + dims.reduce((product, dim) => product * dim, { F32: 4, F16: 2 }[dtype]);
    described[name] = { dtype, shape: dims, data_offsets: [length, end] };
    length = end;
  }
  const text = Buffer.from(JSON.stringify(described));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  const handle = await open(path, 'w');
  await handle.write(Buffer.concat([size, text]));
  await handle.truncate(size.length + text.length + length);
  await handle.close();
}
