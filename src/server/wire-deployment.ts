import type { Account } from '../accounts/directory.ts';
import type { Deployment } from '../predictions/deployments.ts';
import { type AccountJson, accountJson } from './wire-account.ts';

export interface DeploymentJson {
  owner: string;
  name: string;
  current_release: {
    number: number;
    model: string;
    version: string;
    created_at: string;
    created_by: AccountJson;
    configuration: { hardware: string; min_instances: number; max_instances: number };
  };
}

export function deploymentJson(deployment: Deployment, account: Account): DeploymentJson {
  const { name, release, model, version, hardware, minInstances, maxInstances, releasedAt } = deployment;
  return {
    owner: account.username,
    name,
    current_release: {
      number: release,
      model,
      version,
      created_at: releasedAt.toISOString(),
      created_by: accountJson(account),
      configuration: { hardware, min_instances: minInstances, max_instances: maxInstances },
    },
  };
}
