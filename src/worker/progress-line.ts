/**
 * One line of a tqdm bar, ` 40%|████      | 8/20 [00:01<00:02,  5.10it/s]`, which the official clients parse for
 * progress (replicate-javascript `lib/util.js` `parseProgressFromLogs`).
 *
 * @param seconds elapsed since the first step began
 */
export function progressLine(current: number, total: number, seconds: number): string {
  const share = current / total;
  const percent = String(Math.floor(share * 100)).padStart(3);
  const full = Math.floor(share * 10);
  const bar = '█'.repeat(full) + ' '.repeat(10 - full);
  const rate = seconds > 0 ? current / seconds : 0;
  const remaining = rate > 0 ? clock((total - current) / rate) : '?';
  const number = (value: number): string => value.toFixed(2).padStart(5);
  const speed = rate === 0 ? '?it/s' : rate >= 1 ? `${number(rate)}it/s` : `${number(1 / rate)}s/it`;
  return `${percent}%|${bar}| ${current}/${total} [${clock(seconds)}<${remaining}, ${speed}]`;
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const pad = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = pad(Math.floor(whole / 60) % 60);
  return hours > 0 ? `${hours}:${minutes}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}
