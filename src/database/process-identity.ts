import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Enough to tell later whether this very process still runs. */
export interface ProcessIdentity {
  pid: number;
  /** When the process started, in whatever form the system tells it: a later process may get the same pid. */
  started: string;
  host: string;
  /** The world in which the pid means something: machine, boot and, in containers, the pid namespace. */
  place: string;
}

export function identify(): ProcessIdentity {
  return { pid: process.pid, started: startOf(process.pid) ?? '', host: hostname(), place: place() };
}

/** `undefined` when the process runs, or ran, where this one cannot look. */
export function isSameProcessAlive(identity: ProcessIdentity): boolean | undefined {
  if (identity.place !== place()) return undefined;
  const started = startOf(identity.pid);
  return started !== undefined && started === identity.started;
}

function place(): string {
  if (process.platform !== 'linux') return hostname();
  return [
    hostname(),
    readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    readlinkSync('/proc/self/ns/pid'),
  ].join(' ');
}

/** `undefined` when no such process runs. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      // proc(5): field 22 is the start time; the name in field 2 may hold spaces and parentheses itself.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ');
      return fields[0] === 'Z' ? undefined : fields[19];
    }
    if (process.platform === 'win32') {
      process.kill(pid, 0);
      return '';
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}
