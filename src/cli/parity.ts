import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { InputError, RuntimeFailure, WeightError } from '../base/errors.ts';
import { readSettings, type Settings } from '../base/settings.ts';
import { type CaseReport, checkCase, withinTolerance } from '../parity/case.ts';
import { type Command, UsageError } from './command.ts';

const help = `Checks Darkroom's numbers against those that a reference implementation left in a case folder.

Usage: darkroom parity <case-folder> …

For every output it prints the largest absolute difference and the relative L2 error (the length of the difference over
the length of what was expected). DARKROOM_DEVICE chooses the device.

Exit code: 0 all within their tolerance, 1 one is above it or a case cannot be run, 2 the command line is wrong.

Making a case
  A folder with case.json and .safetensors files. Paths are relative to the folder. Tensors carry the names of the
  reference's arguments and results; only the outputs in "expected" are computed and compared. A network:

    {
      "kind": "network",
      "network": "clip-text",
      "config": "config.json",                 the reference library's own
      "weights": ["model.safetensors"],        also .bin, .ckpt, .pth, an index of several files
      "inputs": "inputs.safetensors",
      "expected": "expected.safetensors",
      "options": {},
      "tolerance": { "relL2": 1e-4 }           holds for each output
    }

  network         inputs → outputs                                        options
  clip-text       input_ids → last_hidden_state, hidden_states.N          loras [{file, scale}]
                  (0: the embeddings), pooler_output or text_embeds
  clip-vision     pixel_values → last_hidden_state, hidden_states.N,
                  pooler_output or image_embeds
  unet            sample, timestep, encoder_hidden_states; for SDXL       loras [{file, scale}]
                  text_embeds, time_ids; for the options                  controlnets [{config, weights, scale}]
                  controlnet_cond.N, image_prompt_embeds → sample         ipAdapter {weights, scale}
  controlnet      as unet, with controlnet_cond →                         conditioningScale
                  down_block_res_samples.N, mid_block_res_sample
  motion-unet     sample [B, 4, F, H, W], timestep,                       version: v14, v15 or v15_v2
                  encoder_hidden_states → sample; "weights" are the
                  files of the UNet and of the motion module
  vae-encoder     sample → moments
  vae-decoder     latents (divided by the scaling factor) → sample
  resampler       embeds → tokens
  photomaker-id   id_pixel_values, prompt_embeds, class_tokens_mask
                  → prompt_embeds
  safety-checker  clip_input → has_nsfw_concepts, scores
  hed-bsds        image → edges
  hed-apache      image → edges
  dpt-hybrid      pixel_values → predicted_depth
  mlsd            image → maps
  openpose        image → paf, heatmap
  upernet         pixel_values → logits, a quarter of the picture's size

  From Python, with a model of transformers:

    save_file(model.state_dict(), "case/model.safetensors")
    save_file({"input_ids": ids}, "case/inputs.safetensors")
    save_file({"last_hidden_state": model(ids).last_hidden_state}, "case/expected.safetensors")
    model.config.to_json_file("case/config.json")

  A sampler, by the name of its class in diffusers and its whole configuration as of 0.29:

    {
      "kind": "scheduler",
      "scheduler": "EulerDiscreteScheduler",
      "config": { "num_train_timesteps": 1000, … },
      "steps": 15,
      "inputs": "inputs.safetensors",          sample: the start, initial noise level included
                                               model_outputs [calls, …]: what the network returns at each call
                                               noise [draws, …]: random draws in order, absent where none is made
      "expected": "expected.safetensors",      timesteps; samples: the latents after each step
      "options": {}                            eta (DDIM); perCall: true, where samples has one entry for each call
    }

Examples
  darkroom parity test/fixtures/networks/clip-text
  darkroom parity cases/*
`;

async function run(args: string[]): Promise<number> {
  const { positionals } = parseArgs({ args, allowPositionals: true });
  const folders = positionals.map((path) => (basename(path) === 'case.json' ? dirname(path) : path));
  if (folders.length === 0) throw new UsageError('Name one case folder or more: darkroom parity <case-folder> …');
  const { device } = readSettings();
  let failed = 0;
  for (const folder of folders) {
    if (!(await check(folder, device))) failed++;
  }
  const agreeing = failed === 0 ? `All ${folders.length}` : `${folders.length - failed} of ${folders.length}`;
  if (folders.length > 1) process.stdout.write(`${agreeing} cases agree.\n`);
  return failed === 0 ? 0 : 1;
}

/** Prints one case, also where it cannot be run. */
async function check(folder: string, device: Settings['device']): Promise<boolean> {
  let report: CaseReport;
  try {
    report = await checkCase(folder, device);
  } catch (error) {
    process.stdout.write(`${folder}\n  cannot be run: ${reasonOf(error)}\n\n`);
    return false;
  }
  process.stdout.write(`${folder}  (${report.subject})\n${table(report)}\n`);
  return report.errors.every((error) => withinTolerance(error, report.tolerance));
}

/** These messages stand alone; for anything else the place in the code is wanted too. */
function reasonOf(error: unknown): string {
  const isOurs = [InputError, WeightError, RuntimeFailure, RangeError].some((kind) => error instanceof kind);
  if (!(error instanceof Error)) return String(error);
  return isOurs ? error.message : (error.stack ?? error.message);
}

function table({ errors, tolerance }: CaseReport): string {
  const width = Math.max(6, ...errors.map(({ output }) => output.length));
  const row = (output: string, ...cells: string[]): string =>
    `  ${output.padEnd(width)}  ${cells.map((cell) => cell.padStart(12)).join('  ')}`;
  const lines = errors.map((error) => {
    const verdict = withinTolerance(error, tolerance) ? 'ok' : 'ABOVE';
    return `${row(error.output, number(error.maxAbs), number(error.relL2), number(tolerance))}  ${verdict}`;
  });
  return `${[row('output', 'max abs', 'relative L2', 'tolerance'), ...lines].join('\n')}\n`;
}

function number(value: number): string {
  return Number.isFinite(value) ? value.toExponential(2) : String(value);
}

export default { help, run } satisfies Command;
