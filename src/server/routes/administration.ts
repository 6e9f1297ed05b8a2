import type { FastifyInstance } from 'fastify';
import { administrationOf } from '../../accounts/administration.ts';
import { invalidInput, notFound } from '../errors.ts';
import type { Server } from '../server.ts';

/** What `darkroom token` and the like ask of the server that holds the embedded database. Not part of the API. */
export function administrationRoutes(app: FastifyInstance, { accounts }: Server): void {
  const administration = administrationOf(accounts);
  const config = { administration: true };

  app.post('/admin/tokens', { config }, async (request, reply) => {
    const { name, account } = texts(request.body, ['name', 'account']);
    const created = await administration.createToken({ name, account });
    return reply.code(201).send(created);
  });

  app.get('/admin/tokens', { config }, async () => ({ results: await administration.listTokens() }));

  app.post<{ Params: { id: string } }>('/admin/tokens/:id/revoke', { config }, async ({ params }) => {
    const revoked = await administration.revokeToken(params.id);
    if (!revoked) throw notFound();
    return revoked;
  });

  app.post('/admin/webhook-secret/rotate', { config }, async (request) => {
    const key = await administration.rotateSecretOf(texts(request.body, ['account']).account);
    if (key === undefined) throw notFound();
    return { key };
  });
}

function texts<const Name extends string>(body: unknown, names: readonly Name[]): Record<Name, string> {
  const given = (body ?? {}) as Record<string, unknown>;
  const faults = names
    .filter((name) => typeof given[name] !== 'string')
    .map((name) => ({ type: 'required', field: '', description: `${name} is required` }));
  if (faults.length > 0) throw invalidInput(faults);
  return Object.fromEntries(names.map((name) => [name, given[name]])) as Record<Name, string>;
}
