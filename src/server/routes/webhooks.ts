import type { FastifyInstance, FastifyRequest } from 'fastify';
import { gone, notFound } from '../errors.ts';
import { pageJson, wholeList } from '../pagination.ts';
import { originOf, type Server } from '../server.ts';
import { deliveryJson } from '../wire-delivery.ts';

type DeliveryParams = { id: string; delivery: string };

/** What became of a prediction's webhooks, for whom the prediction belongs to. */
export function webhookRoutes(app: FastifyInstance, server: Server): void {
  const { predictions, webhooks, settings } = server;

  app.get<{ Params: { id: string } }>('/predictions/:id/deliveries', async (request) => {
    const id = await own(request, request.params.id);
    const address = `${originOf(request, settings)}/v1/predictions/${id}/deliveries`;
    return pageJson(wholeList(await webhooks.deliveriesOf(id)), address, {}, deliveryJson);
  });

  app.post<{ Params: DeliveryParams }>('/predictions/:id/deliveries/:delivery/repeat', async (request, reply) => {
    const { id, delivery } = request.params;
    const predictionId = await own(request, id);
    const repeated = isMessageId(delivery) ? await webhooks.repeatDelivery(predictionId, delivery) : undefined;
    if (!repeated) throw notFound();
    if (repeated === 'removed') throw gone('The data of this prediction were removed, as its retention time is over.');
    return reply.code(202).send(deliveryJson(repeated));
  });

  /** @throws Problem when it belongs to somebody else */
  async function own({ account }: FastifyRequest, id: string): Promise<string> {
    const prediction = /^[0-9a-z]{1,64}$/.test(id) ? await predictions.get(account, id) : undefined;
    if (!prediction) throw notFound();
    return prediction.id;
  }
}

/** Ids are ours; anything else is not looked up. */
function isMessageId(id: string): boolean {
  return /^msg_[0-9a-f]{1,64}$/.test(id);
}
