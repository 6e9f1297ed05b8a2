import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where Debian's `chromium` lies, which plays H.264; builds without licensed codecs do not. */
const debian = '/usr/bin/chromium';

/**
 * The browser that tests run pages in, or `undefined` where there is none: those tests are then skipped with a notice; a CI
 * run fails.
 */
export function findBrowser(): string | undefined {
  const path = process.env.DARKROOM_TEST_CHROMIUM ?? debian;
  if (existsSync(path)) return path;
  const remedy = 'Install it (apt-get install chromium) or name another one in DARKROOM_TEST_CHROMIUM.';
  if (process.env.CI === 'true') throw new Error(`The tests need a browser in CI. ${remedy}`);
  console.warn(`No browser was found as ${path}: the tests in a browser are skipped. ${remedy}`);
  return undefined;
}

/** The caller closes it. */
export function openBrowser(path: string): Promise<Browser> {
  return chromium.launch({
    executablePath: path,
    // Tests often run as root, which its sandbox refuses; pages are the tests' own.
    args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
  });
}
