import { expect, test } from 'vitest';
import { SettingsError } from './errors.ts';
import { parseDuration, readSettings } from './settings.ts';

test.each([
  ['90', 90_000],
  ['90s', 90_000],
  ['15m', 900_000],
  ['1h30m', 5_400_000],
  ['7d', 604_800_000],
  ['400ms', 400],
  ['1m1ms', 60_001],
  ['0', 0],
])('a duration of %s', (text, milliseconds) => {
  expect(parseDuration('DARKROOM_RETENTION', text)).toBe(milliseconds);
});

test.each(['', '-1', '1.5h', '1 h', 'h', '5min', 'forever', '1e3'])('%j is no duration', (text) => {
  expect(() => parseDuration('DARKROOM_RETENTION', text)).toThrow(
    new SettingsError(`DARKROOM_RETENTION is "${text}"; write a duration such as 90s, 15m, 1h30m or 7d.`),
  );
});

test('what is not set, or set to nothing, has its default', () => {
  expect(readSettings({ DARKROOM_HOME: '/data', DARKROOM_RUN_TIMEOUT: '', PORT: '' })).toEqual(
    readSettings({ DARKROOM_HOME: '/data' }),
  );
  expect(readSettings({})).toMatchObject({ port: 5000, retentionMs: undefined, shutdownGraceMs: 5_000 });
});

test('what is counted by a timer is at most what timers can count', () => {
  expect(readSettings({ DARKROOM_RUN_TIMEOUT: '24d' }).runTimeoutMs).toBe(2_073_600_000);
  for (const name of ['RUN_TIMEOUT', 'CANCEL_GRACE', 'SHUTDOWN_GRACE', 'FETCH_TIMEOUT', 'LORA_TIMEOUT']) {
    expect(() => readSettings({ [`DARKROOM_${name}`]: '25d' })).toThrow(
      new SettingsError(`DARKROOM_${name} is "25d"; the longest is 24d.`),
    );
  }
  expect(readSettings({ DARKROOM_RETENTION: '365d' }).retentionMs).toBe(31_536_000_000);
});

test.each([
  ['6GiB', 6 * 2 ** 30],
  ['500MB', 500_000_000],
  ['1.5 GB', 1_500_000_000],
  ['1048576', 1_048_576],
])('a size of %s', (text, bytes) => {
  expect(readSettings({ DARKROOM_MEMORY: text }).memory).toBe(bytes);
});

test.each(['6G', '-1', '0', '1.2.3GB', 'NaN', '6 TiB'])('%j is no size', (text) => {
  expect(() => readSettings({ DARKROOM_MEMORY: text })).toThrow(
    new SettingsError(`DARKROOM_MEMORY is "${text}"; write a size such as 6GiB, 500MB or plain bytes.`),
  );
});

test.each([
  [{ PORT: '65536' }, 'PORT is "65536"; write a whole number from 0 to 65535.'],
  [{ PORT: '80.5' }, 'PORT is "80.5"; write a whole number from 0 to 65535.'],
  [{ DARKROOM_CONCURRENCY: '-1' }, 'DARKROOM_CONCURRENCY is "-1"; write a whole number from 0 to 64.'],
  [
    { DARKROOM_AUTH: 'none', DARKROOM_API_TOKENS: 'r8_a' },
    'DARKROOM_AUTH is none, but DARKROOM_API_TOKENS names tokens. Leave one of them out.',
  ],
])('%j is refused', (environment, message) => {
  expect(() => readSettings(environment)).toThrow(new SettingsError(message));
});
