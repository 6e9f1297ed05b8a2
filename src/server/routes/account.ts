import type { FastifyInstance } from 'fastify';
import { webhookSecretOverlapMs } from '../../accounts/secrets.ts';
import { notFound } from '../errors.ts';
import type { Server } from '../server.ts';
import { accountJson } from '../wire-account.ts';

/** Who the caller is, and what its webhooks are signed with. */
export function accountRoutes(app: FastifyInstance, { accounts }: Server): void {
  app.get('/account', async (request) => {
    const account = await accounts.account(request.account);
    if (!account) throw notFound();
    return accountJson(account);
  });

  app.get('/webhooks/default/secret', async (request) => {
    const [key] = await accounts.webhookSecrets(request.account);
    return { key };
  });

  app.post('/webhooks/default/secret/rotate', async (request) => {
    const key = await accounts.rotateWebhookSecret(request.account);
    const previousUntil = new Date(Date.now() + webhookSecretOverlapMs);
    return { key, previous_valid_until: previousUntil.toISOString() };
  });
}
