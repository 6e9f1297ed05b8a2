/** `3.4 GB`, as download pages count. */
export function sizeText(bytes: number): string {
  const [unit, name] = bytes >= 1e9 ? [1e9, 'GB'] : bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
  return `${(bytes / unit).toFixed(bytes >= 10 * unit ? 0 : 1)} ${name}`;
}
