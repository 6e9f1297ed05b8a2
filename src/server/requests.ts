/** What bodies and queries may hold: routes check against these schemas, and the OpenAPI document shows them. */
import { Type } from 'typebox';
import { mostDeployments } from '../predictions/deployments.ts';

export const modelsQuery = Type.Object({
  sort_by: Type.Optional(
    Type.Enum(['model_created_at', 'latest_version_created_at'], {
      description: 'A model here has one version, created when the model was: both order alike.',
      default: 'latest_version_created_at',
    }),
  ),
  sort_direction: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'desc' })),
});

/** Every word is looked for in every model. */
export const searchText = Type.String({
  description: 'Words to look for; without any, every model is found.',
  maxLength: 1000,
});

export const searchQuery = Type.Object({
  query: searchText,
  limit: Type.Optional(
    Type.Integer({ description: 'How many models to answer at the most.', minimum: 1, maximum: 50, default: 20 }),
  ),
});

const configuration = {
  version: Type.String({ description: 'The version that predictions run, 64 hex digits.' }),
  hardware: Type.String({ description: 'The `sku` of something in `GET /hardware`.' }),
  min_instances: Type.Integer({ description: 'Kept, and without effect.', minimum: 0, maximum: 5 }),
  max_instances: Type.Integer({
    description: 'How many predictions of the deployment run at the same time; with 0 they wait.',
    minimum: 0,
    maximum: 20,
  }),
};

export const newDeployment = Type.Object(
  {
    name: Type.String({
      description: `What it is called in addresses. An account has at most ${mostDeployments} deployments.`,
      pattern: '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$',
    }),
    model: Type.String({ description: 'The model, `owner/name`.' }),
    ...configuration,
  },
  { additionalProperties: false },
);

export const deploymentChanges = Type.Partial(Type.Object(configuration), { additionalProperties: false });

export const predictionsQuery = Type.Object({
  created_after: Type.Optional(Type.String({ format: 'date-time', description: 'Includes its moment.' })),
  created_before: Type.Optional(Type.String({ format: 'date-time', description: 'Does not include its moment.' })),
  source: Type.Optional(Type.Enum(['web'], { description: 'Only those made in a browser.' })),
  cursor: Type.Optional(Type.String({ description: 'From the links of an earlier page.' })),
});

export const filesQuery = Type.Object({
  cursor: Type.Optional(Type.String({ description: 'From the links of an earlier page.' })),
});

export const downloadQuery = Type.Object({
  owner: Type.String({ description: 'Username of the account that the file belongs to.' }),
  expiry: Type.String({ description: 'Unix seconds, until when the signature counts.' }),
  signature: Type.String({
    description:
      'Base64 of the HMAC-SHA256 over `{owner} {id} {expiry}`, with single spaces, keyed with the files secret of the account.',
  }),
});

/** Read leniently: anything but these two is off. */
const onlyIfOn = (description: string) =>
  Type.Optional(Type.String({ description: `${description}: \`true\` or \`1\`.` }));

export const streamQuery = Type.Object({
  logs: onlyIfOn('The logs as well'),
  previews: onlyIfOn('Pictures while they are being made'),
});
