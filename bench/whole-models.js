/**
 * Models as a whole at full size, in float32 over random weights: seconds for what comes before the steps, a step and
 * the decoding, and the memory of the engine process, as `darkroom predict` runs them.
 *
 *   npm run build && node bench/whole-models.js <model> [steps] [options]
 *
 *   controlnet [--structures a,b], animate-diff, instant-id [--nets pose,canny,depth] [--lcm], photomaker, face-to-many;
 *   turns: controlnet, animate-diff, controlnet in one engine; with DARKROOM_MEMORY the log shows what goes for what
 *
 * What instant-id has beside IdentityNet is pose, unless `--nets` says otherwise; `--nets none` is the smallest. The
 * weights are written once to DARKROOM_BENCH_WEIGHTS, by default below the temporary folder: 16 GB for the models of
 * Stable Diffusion 1.5, 37 GB for those of SDXL, of which photomaker alone needs 17 and instant-id 27
 * (full-size-files.js). With `--torch` the reference runs afterwards (tools/reference/setup.sh). Prints one JSON object,
 * and the log of each prediction before it on standard error.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createLog } from '../dist/base/log.js';
import { loadModels, slug } from '../dist/catalog/list.js';
import { startEngineProcess } from '../dist/predictions/engine-process.js';
import { writeFullSizeWeights } from './full-size-weights.js';
import { jobsOf } from './whole-model-jobs.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    structures: { type: 'string', default: 'canny,depth,hed,hough,normal,pose,scribble,seg' },
    nets: { type: 'string', default: 'pose' },
    lcm: { type: 'boolean', default: false },
    torch: { type: 'boolean', default: false },
    frames: { type: 'string', default: '16' },
  },
});
const [what = 'controlnet', stepsText = '3'] = positionals;
const steps = Number(stepsText);
const { jobs, files } = jobsOf(what, {
  steps,
  structures: values.structures.split(','),
  nets: values.nets.split(',').filter((net) => net !== 'none'),
  lcm: values.lcm,
});
const models = await loadModels();

const weights = process.env.DARKROOM_BENCH_WEIGHTS ?? join(tmpdir(), 'darkroom-full-size');
await writeFullSizeWeights(weights, files);
const home = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
process.once('exit', () => rmSync(home, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const environment = {
  ...process.env,
  DARKROOM_HOME: home,
  DARKROOM_WEIGHTS: 'full',
  DARKROOM_WEIGHTS_PATH: weights,
};
const engine = await startEngineProcess(environment, new AbortController().signal, createLog('warn'));
const [pid] = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ');
const memory = { resident: 0, private: 0 };
const timer = setInterval(() => sampleMemory(pid, memory), 100);

const runs = [];
for (const job of jobs) runs.push(await run(job));
clearInterval(timer);
engine.kill();
const machine = { processor: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg()[0] };
console.log(JSON.stringify({ ...machine, runs, peakMegabytes: memory, torch: values.torch && torch() }, null, 2));

/** One prediction in the engine; its times are those at which its messages arrive. */
function run({ model, input, usualSteps, stopAfter }) {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const before = { ...memory, read: bytesRead(pid) };
  const at = { steps: [], files: [], loaded: {} };
  return new Promise((resolve, reject) => {
    engine.onMessage((message) => {
      if (message.type === 'log') {
        process.stderr.write(`${seconds().toFixed(1).padStart(7)} s  ${message.text}`);
        const network = /^Loaded ([^:]+):/.exec(message.text)?.[1];
        if (network) at.loaded[network] ??= round(seconds());
      } else if (message.type === 'progress') {
        at.steps.push(seconds());
        if (message.current === stopAfter) engine.send({ type: 'cancel', id: model });
      } else if (message.type === 'output') at.files.push([message.name, seconds()]);
      else if (message.type === 'succeeded' || (message.type === 'canceled' && stopAfter)) resolve(summary());
      else if (message.type !== 'preview') reject(new Error(`${model}: ${message.error ?? message.type}`));
    });
    engine.send({ type: 'predict', id: model, model, input: withDefaults(model, input), outputFolder: home });
  });

  function summary() {
    const total = seconds();
    // A bar for the frames follows that of the steps, which begins at nought.
    const bar = at.steps.slice(0, steps + 1);
    const taken = bar.slice(1).map((time, index) => time - bar[index]);
    // The first step allocates and reads the weights from the disk.
    const step = median(taken.slice(taken.length > 1 ? 1 : 0));
    const reference = at.files.find(([name]) => name === 'reference.png');
    return {
      model,
      structure: input.structure,
      steps,
      structureSeconds: reference && round(reference[1]),
      beforeStepsSeconds: round(bar[0]),
      loadedAtSeconds: at.loaded,
      stepSeconds: round(step),
      afterLastStepSeconds: stopAfter ? undefined : round(total - bar.at(-1)),
      totalSeconds: round(total),
      totalOfUsualSteps: round(total + (usualSteps - steps) * step),
      gigabytesRead: round((bytesRead(pid) - before.read) / 1e9),
      newPeakMegabytes: memory.private > before.private ? { ...memory } : undefined,
    };
  }
}

function withDefaults(name, input) {
  const { inputs } = models.find((model) => slug(model) === name);
  const defaults = Object.entries(inputs).map(([field, options]) => [field, options.default]);
  return { ...Object.fromEntries(defaults), ...input };
}

function torch() {
  const python = path('../tools/reference/.venv/bin/python');
  const isXl = ['instant-id', 'photomaker', 'face-to-many'].includes(what);
  const args = isXl
    ? [path('../tools/reference/bench_xl_models.py'), what, weights, values.nets]
    : [path('../tools/reference/bench_models.py'), what, weights, String(steps), values.frames];
  const { status, stdout } = spawnSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error('The reference failed.');
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** Megabytes; pages mapped from the weight files are resident but not private. */
function sampleMemory(process, peak) {
  const status = processFile(process, 'status');
  const megabytes = (key) => Math.round(Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024);
  peak.resident = Math.max(peak.resident, megabytes('VmHWM'));
  peak.private = Math.max(peak.private, megabytes('RssAnon'));
}

/** From the disk, so not what the system still had in memory. */
function bytesRead(process) {
  return Number(/^read_bytes: (\d+)/m.exec(processFile(process, 'io'))?.[1] ?? 0);
}

/** Empty where the system is not Linux, or the process has just ended. */
function processFile(process, name) {
  try {
    return readFileSync(`/proc/${process}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function round(value) {
  return Number(value.toFixed(2));
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

function path(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}
