import { expect, test } from 'vitest';
import { executionProviders } from './providers.ts';

test('the processor serves by default, and behind every other device', () => {
  expect(executionProviders('auto', ['cpu', 'cuda'])).toEqual(['cpu']);
  expect(executionProviders('cpu', ['cpu'])).toEqual(['cpu']);
  expect(executionProviders('cuda', ['cpu', 'cuda'])).toEqual(['cuda', 'cpu']);
});

test('a device that this system cannot have is refused and not passed over', () => {
  expect(() => executionProviders('coreml', ['cpu', 'webgpu'])).toThrow(/DARKROOM_DEVICE is coreml, .* cpu, webgpu/);
});
