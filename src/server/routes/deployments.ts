import type { FastifyInstance } from 'fastify';
import type { DeploymentConfiguration } from '../../predictions/deployments.ts';
import { conflict, invalidInput, invalidVersion, notFound } from '../errors.ts';
import { findHardware, type Hardware } from '../hardware.ts';
import { pageJson, wholeList } from '../pagination.ts';
import { bodyReader } from '../read-request.ts';
import { deploymentChanges, newDeployment } from '../requests.ts';
import { originOf, type Server } from '../server.ts';
import { deploymentJson } from '../wire-deployment.ts';

type DeploymentRequest = { Params: { owner: string; name: string } };

const readNew = bodyReader(newDeployment);
const readChanges = bodyReader(deploymentChanges);

/** Named configurations that predictions run under, and what there is to run them on. */
export function deploymentRoutes(app: FastifyInstance, server: Server): void {
  const { deployments } = server.predictions;
  let found: Promise<Hardware[]> | undefined;
  const findOnce = (): Promise<Hardware[]> => {
    found ??= findHardware(server.settings);
    return found;
  };

  app.get('/hardware', findOnce);

  app.get('/deployments', async (request) => {
    const account = await accountOf(request.account);
    const kept = await deployments.list(account.id);
    const address = `${originOf(request, server.settings)}/v1/deployments`;
    return pageJson(wholeList(kept), address, {}, (deployment) => deploymentJson(deployment, account));
  });

  app.post('/deployments', async (request) => {
    const account = await accountOf(request.account);
    const { name, model, version, hardware, ...instances } = readNew(request.body);
    const id = `${account.username}/${name}`;
    const created = await deployments.create({
      id,
      account: account.id,
      name,
      model,
      version: versionOf(model, version),
      hardware: await here(hardware),
      minInstances: instances.min_instances,
      maxInstances: instances.max_instances,
    });
    if (!created) throw conflict(`There is a deployment ${id} already. Change it with PATCH, or choose another name.`);
    return deploymentJson(created, account);
  });

  app.get<DeploymentRequest>('/deployments/:owner/:name', async ({ account, params }) => {
    const deployment = await deployments.get(account, idOf(params));
    if (!deployment) throw notFound();
    return deploymentJson(deployment, await accountOf(account));
  });

  app.patch<DeploymentRequest>('/deployments/:owner/:name', async ({ account, params, body }) => {
    const before = await deployments.get(account, idOf(params));
    if (!before) throw notFound();
    const { version, hardware, min_instances: minInstances, max_instances: maxInstances } = readChanges(body);
    const changes: Partial<DeploymentConfiguration> = {
      ...(version !== undefined && { version: versionOf(before.model, version) }),
      ...(hardware !== undefined && { hardware: await here(hardware) }),
      ...(minInstances !== undefined && { minInstances }),
      ...(maxInstances !== undefined && { maxInstances }),
    };
    const after = await deployments.update(account, before.id, changes);
    if (!after) throw notFound();
    return deploymentJson(after, await accountOf(account));
  });

  app.delete<DeploymentRequest>('/deployments/:owner/:name', async ({ account, params }, reply) => {
    const outcome = await deployments.delete(account, idOf(params));
    if (outcome === undefined) throw notFound();
    if (outcome === 'busy') {
      throw conflict(
        'Predictions of this deployment have not ended yet. Wait for them or cancel them, then delete it.',
      );
    }
    return reply.code(204).send();
  });

  async function accountOf(id: string) {
    const account = await server.accounts.account(id);
    if (!account) throw notFound();
    return account;
  }

  /** The bare id of a model's version. @throws Problem when there is no such model or version */
  function versionOf(model: string, version: string): string {
    const entry = server.catalogue.bySlug(model);
    if (!entry || server.catalogue.byReference(version) !== entry) throw invalidVersion();
    return entry.model.version;
  }

  async function here(sku: string): Promise<string> {
    const skus = (await findOnce()).map((device) => device.sku);
    if (skus.includes(sku)) return sku;
    const list = skus.map((choice) => JSON.stringify(choice)).join(', ');
    const description = `hardware must be one of the following: ${list}`;
    throw invalidInput([{ type: 'enum', field: 'hardware', description }]);
  }
}

function idOf({ owner, name }: DeploymentRequest['Params']): string {
  return `${owner}/${name}`;
}
