import type { FastifyInstance } from 'fastify';
import { notImplemented } from '../errors.ts';
import type { Server } from '../server.ts';

/**
 * The place of the files API. It says that uploads are missing, and says it so that the JavaScript client, which
 * uploads every Buffer and Blob first, sends them as data URLs instead.
 */
export function uploadRoutes(app: FastifyInstance, _server: Server): void {
  const refuse = async (): Promise<never> => {
    throw notImplemented('This server does not take uploads yet. Send the file as a data URL inside "input".');
  };
  // In preParsing, behind the token and before the body: nothing is read.
  app.post('/files', { preParsing: refuse }, refuse);
}
