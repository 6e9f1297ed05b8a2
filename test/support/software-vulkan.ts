import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where Debian's `chromium-common` has SwiftShader, a Vulkan driver that needs no GPU. */
const debian = '/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * Makes this process's WebGPU run on a driver that is the same on every machine, or on the one of `VK_DRIVER_FILES`. To be
 * called before the first session opens. Where there is none, its tests are skipped with a notice; a CI run fails.
 */
export function useSoftwareVulkan(): boolean {
  if (process.env.VK_DRIVER_FILES) return true;
  if (existsSync(debian) && hasLoader()) {
    process.env.VK_DRIVER_FILES = debian;
    return true;
  }
  const remedy = 'Install it (apt-get install chromium-common libvulkan1) or set VK_DRIVER_FILES.';
  if (process.env.CI === 'true') throw new Error(`The tests need a Vulkan driver in CI. ${remedy}`);
  console.warn(`No Vulkan driver was found as ${debian}: the tests of WebGPU are skipped. ${remedy}`);
  return false;
}

/** Whether the library is there through which programs reach drivers, in one of Debian's folders for processors. */
function hasLoader(): boolean {
  return readdirSync('/usr/lib').some((folder) => existsSync(join('/usr/lib', folder, 'libvulkan.so.1')));
}
