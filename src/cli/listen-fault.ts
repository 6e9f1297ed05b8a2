import { SettingsError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';

/** What to change when the server's address cannot be had; other errors as they are. */
export function listenFault(error: unknown, { host, port }: Pick<Settings, 'host' | 'port'>): unknown {
  const faults: Record<string, string> = {
    EADDRINUSE: `Port ${port} of ${host} is taken by another program. Stop it, or choose another with PORT (0: any free one).`,
    EACCES: `Port ${port} is not open to this user. Choose another with PORT, such as 5000.`,
    EADDRNOTAVAIL: `HOST is "${host}", which is no address of this machine. 0.0.0.0 stands for all that it has.`,
    ENOTFOUND: `HOST is "${host}", a name that leads to no address.`,
  };
  const message = faults[(error as NodeJS.ErrnoException).code ?? ''];
  return message === undefined ? error : new SettingsError(message);
}
