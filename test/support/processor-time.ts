/**
 * What work costs this process, in milliseconds of its processors, all threads together. Unlike the clock's, this time
 * stands still while others have the machine; it tells work that grows as it should from work that explodes.
 */
export async function processorTime(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
