/**
 * Decoding the latents of Stable Diffusion XL as a whole and in tiles, at full size over random weights: time, memory, and
 * how far the pictures are apart.
 *
 *   npm run build && node bench/decode.js [side of the picture] [tile in latents …]
 *
 * Each way has a process of its own, one after the other. Prints one JSON object.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuNormals } from '../dist/math/random.js';
import { float32 } from '../dist/math/tensor.js';
import { vaeDecoderNetwork } from '../dist/networks/vae-decoder.js';
import { decodeTiled } from '../dist/pipeline/tiled-decode.js';
import { createResidency } from '../dist/runtime/residency.js';
import { inventWeights } from '../dist/weights/random-weights.js';

const [side = '1280', ...tiles] = process.argv.slice(2);
if (process.env.DECODE_FOLDER) await decode(process.env.DECODE_FOLDER, Number(side) / 8, Number(tiles[0]));
else await compareWays();

async function compareWays() {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-decode-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  const recorded = fileURLToPath(new URL('../test/fixtures/headers/sdxl-vae.json', import.meta.url));
  const { weights, write } = inventWeights();
  for (const [name, [, shape]] of Object.entries(JSON.parse(readFileSync(recorded, 'utf8'))))
    weights.tensor(name, shape);
  await write(join(folder, 'diffusion_pytorch_model.safetensors'), 'vae');
  writeFileSync(join(folder, 'config.json'), '{"norm_num_groups": 32}');
  // 0 is the whole.
  const ways = [0, ...(tiles.length > 0 ? tiles.map(Number) : [128, 64])].map((tile) => {
    const environment = { ...process.env, DECODE_FOLDER: folder };
    const run = spawnSync(process.execPath, [process.argv[1], side, String(tile)], {
      env: environment,
      maxBuffer: 2 ** 20,
    });
    if (run.status !== 0) throw new Error(run.stderr.toString());
    const bytes = readFileSync(join(folder, `${tile}.bin`));
    return { ...JSON.parse(run.stdout.toString()), picture: new Float32Array(bytes.buffer, bytes.byteOffset) };
  });
  const [whole] = ways;
  const results = ways.map(({ picture, ...figures }) => ({ ...figures, ...difference(whole.picture, picture) }));
  const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg()[0] };
  console.log(JSON.stringify({ ...machine, side: Number(side), results }, null, 2));
}

async function decode(folder, latents, tile) {
  const residency = createResidency({ device: 'cpu' });
  const sample = float32([1, 4, latents, latents], pattern(latents));
  let working = 0;
  const run = (part) => {
    const [, , height, width] = part.dims;
    const network = vaeDecoderNetwork(folder, { batch: 1, height, width });
    const note = ({ memory }) => {
      working = Math.max(working, memory.working);
    };
    return residency.use(network, async (session) => (await session.run({ latents: part })).sample, note);
  };
  const [before, used] = [performance.now(), process.cpuUsage()];
  const picture = await (tile ? decodeTiled(sample, { tile, factor: 8 }, run) : run(sample));
  const { user, system } = process.cpuUsage(used);
  writeFileSync(join(folder, `${tile}.bin`), picture.data);
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  console.log(
    JSON.stringify({
      tile: tile || 'whole',
      seconds: Math.round((performance.now() - before) / 100) / 10,
      processorSeconds: Math.round((user + system) / 1e5) / 10,
      estimatedMegabytes: Math.round(working / 1e6),
      peakResidentMegabytes: Math.round(peak / 1000),
    }),
  );
  await residency.close();
}

/** Noise on large shapes, so that tiles differ in their means as those of a picture do. */
function pattern(side) {
  const normals = cpuNormals(1).normal(4 * side * side);
  return normals.map((value, index) => {
    const [x, y] = [index % side, Math.floor(index / side) % side];
    return value + 3 * Math.sin((x / side) * 5 + index / (side * side)) * Math.cos((y / side) * 4);
  });
}

/** Of values from -1 to 1. */
function difference(whole, tiled) {
  let [sum, square, largest, size] = [0, 0, 0, 0];
  for (const [index, value] of whole.entries()) {
    const gap = Math.abs(tiled[index] - value);
    sum += gap;
    square += gap * gap;
    size += value * value;
    largest = Math.max(largest, gap);
  }
  return {
    relativeL2: Math.sqrt(square / size),
    meanOf255: (sum / whole.length) * 127.5,
    largestOf255: largest * 127.5,
  };
}
