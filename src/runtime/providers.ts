import type { Settings } from '../base/settings.ts';

/**
 * ONNX Runtime's execution providers for a device, in order of preference; what a provider cannot run falls to the
 * next. `auto` is the CPU: the other providers have to pass the networks' fixtures on real devices first.
 */
export function executionProviders(device: Settings['device']): readonly string[] {
  return device === 'auto' || device === 'cpu' ? ['cpu'] : [device, 'cpu'];
}
