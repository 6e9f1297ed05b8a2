import type { Static, TSchema } from 'typebox';
import { expect, test } from 'vitest';
import type { PredictionJson } from '../../predictions/prediction-json.ts';
import type { CollectionJson, FoundModelJson, ModelJson, VersionJson, WeightsJson } from '../wire.ts';
import type { AccountJson } from '../wire-account.ts';
import type { DeliveryJson } from '../wire-delivery.ts';
import type { DeploymentJson } from '../wire-deployment.ts';
import type { UploadJson } from '../wire-upload.ts';
import type {
  accountAnswer,
  collectionAnswer,
  deliveryAnswer,
  deploymentAnswer,
  foundModelAnswer,
  modelAnswer,
  predictionAnswer,
  uploadAnswer,
  versionAnswer,
  weightsAnswer,
} from './answers.ts';

/** Whether what is answered is what the schema says, and has the same keys. */
type Matches<Json, Schema extends TSchema> =
  Writable<Json> extends Static<Schema>
    ? [keyof Json, keyof Static<Schema>] extends [keyof Static<Schema>, keyof Json]
      ? true
      : false
    : false;
type Writable<T> = T extends readonly (infer Item)[]
  ? Writable<Item>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Writable<T[Key]> }
    : T;

/** The compiler refuses this where a schema and a type differ. */
const answered: [
  Matches<PredictionJson, typeof predictionAnswer>,
  Matches<VersionJson, typeof versionAnswer>,
  Matches<ModelJson, typeof modelAnswer>,
  Matches<WeightsJson, typeof weightsAnswer>,
  Matches<CollectionJson, typeof collectionAnswer>,
  Matches<FoundModelJson, typeof foundModelAnswer>,
  Matches<AccountJson, typeof accountAnswer>,
  Matches<DeploymentJson, typeof deploymentAnswer>,
  Matches<DeliveryJson, typeof deliveryAnswer>,
  Matches<UploadJson, typeof uploadAnswer>,
] = [true, true, true, true, true, true, true, true, true, true];

test('the schemas of answers are those of the types that routes answer with', () => {
  expect(answered).not.toContain(false);
});
