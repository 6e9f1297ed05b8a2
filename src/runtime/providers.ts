import { RuntimeFailure } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';

/**
 * ONNX Runtime's execution providers for a device, in order of preference; what a provider cannot run falls to the
 * next. `auto` is the CPU: the other providers have to pass the networks' fixtures on real devices first.
 *
 * @param supported what this system's ONNX Runtime has; it would pass over others without an error
 * @throws RuntimeFailure when it does not have the device
 */
export function executionProviders(device: Settings['device'], supported: readonly string[]): string[] {
  if (isCpu(device)) return ['cpu'];
  if (supported.includes(device)) return [device, 'cpu'];
  throw new RuntimeFailure(
    `DARKROOM_DEVICE is ${device}, which ONNX Runtime does not have on this system. It has ${supported.join(', ')}.`,
  );
}

/** Whether networks run on the CPU, whose kernels compute in float32 alone. */
export function isCpu(device: Settings['device']): boolean {
  return device === 'auto' || device === 'cpu';
}

/**
 * Whether networks are written without the fused operators on a device: some of WebGPU's kernels are wrong
 * (docs/decisions/webgpu-operators.md).
 */
export function wantsBasicOperators(device: Settings['device']): boolean {
  return device === 'webgpu';
}
