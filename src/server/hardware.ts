import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { entryPoint } from '../base/entry-point.ts';
import type { Settings } from '../base/settings.ts';

export interface Hardware {
  sku: string;
  name: string;
}

/** What devices of DARKROOM_DEVICE are called. */
const names = {
  webgpu: 'GPU (WebGPU)',
  cuda: 'Nvidia GPU (CUDA)',
  coreml: 'Apple GPU and Neural Engine (Core ML)',
  dml: 'GPU (DirectML)',
};

const probeTimeoutMs = 60_000;

/** What models run on here: the processor, and the device of DARKROOM_DEVICE where a network really runs on it. */
export async function findHardware({ device }: Pick<Settings, 'device'>): Promise<Hardware[]> {
  const cores = availableParallelism();
  const cpu = { sku: 'cpu', name: `CPU (${cores} ${cores === 1 ? 'core' : 'cores'})` };
  if (device === 'auto' || device === 'cpu') return [cpu];
  return (await runsOn(device)) ? [cpu, { sku: `gpu-${device}`, name: names[device] }] : [cpu];
}

function runsOn(device: string): Promise<boolean> {
  const probe = fileURLToPath(entryPoint('worker/probe'));
  return new Promise((resolve) => {
    execFile(process.execPath, [probe, device], { timeout: probeTimeoutMs }, (error) => resolve(error === null));
  });
}
