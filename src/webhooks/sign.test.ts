import { expect, test } from 'vitest';
import { signedHeaders } from './sign.ts';

test('the vector that Standard Webhooks publishes', () => {
  const headers = signedHeaders(
    'msg_p5jXN8AQM9LWM0D4loKWxJek',
    '{"test": 2432232314}',
    ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    new Date(1_614_265_330_999),
  );
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test('a secret that is being replaced signs beside the new one', () => {
  const body = '{"id":"6ajy0h5jgvqq5fnghhped27q2d","status":"succeeded","output":["https://box.example/f/a.png"]}';
  const secrets = ['whsec_c3BlYy1nb2xkZW4tdmVjdG9yLWtleS0x', 'whsec_c3BlYy1nb2xkZW4tdmVjdG9yLWtleS0y'];
  const headers = signedHeaders('msg_2f9d6c1e8b7a4053', body, secrets, new Date(1_767_225_600_000));
  expect(headers['webhook-signature']).toBe(
    'v1,MHQAWUpNcdeXIOAasW0Eg/OXnrHtA88aodY9ThaWxy4= v1,Q5BlvAEeWcnUiH9HY80mk3AM0t/Ua3am0QxNe94yALs=',
  );
});
