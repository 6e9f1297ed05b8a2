import { sizeText } from '../base/size-text.ts';
import type { ResidencyEvent } from '../runtime/residency.ts';

/** `Loaded unet: 4.9 GB of weights, in 0.5 s.`, for the logs of a prediction: without shapes and folders. */
export function residencyLine({ type, key, memory, milliseconds }: ResidencyEvent): string {
  const name = key.split(/,| of /, 1)[0];
  const weights = `${sizeText(memory.weights)} of weights`;
  if (type === 'loaded') return `Loaded ${name}: ${weights}, in ${(milliseconds / 1000).toFixed(1)} s.`;
  return `Released ${name}, which was not in use: ${weights}.`;
}
