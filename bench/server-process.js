/** The built server as a process of its own, for measurements. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/** With its usual settings, also for the log, which goes to a file, and an empty data folder. */
export async function startServer(environment) {
  const home = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
  const log = join(home, 'log');
  const flags = (process.env.BENCH_NODE_FLAGS ?? '').split(' ').filter(Boolean);
  const child = spawn(process.execPath, [...flags, path('../bin/darkroom.js'), 'serve'], {
    env: {
      ...process.env,
      DATABASE_URL: '',
      PORT: '0',
      DARKROOM_MODELS: path('models'),
      DARKROOM_HOME: home,
      ...environment,
    },
    stdio: ['ignore', 'pipe', openSync(log, 'w')],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const origin = /listens on (http\S+)/.exec(line)?.[1];
    if (origin) return { origin, pid: child.pid, stop };
  }
  throw new Error(`The server ended before it was ready: ${readFileSync(log, 'utf8')}`);

  async function stop() {
    child.kill('SIGTERM');
    await once(child, 'exit');
    await rm(home, { recursive: true });
  }
}

/** Processor time of a process so far: it hardly depends on what else the machine does. */
export function cpuMs(pid) {
  if (!existsSync('/proc/self/stat')) return undefined;
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).map(Number);
  // Counted in hundredths of a second (USER_HZ, proc(5)).
  return (user + system) * 10;
}
