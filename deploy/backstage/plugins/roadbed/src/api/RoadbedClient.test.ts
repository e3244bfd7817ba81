import { aRequest, anInstance, overLimit, INSTANCE_ID, REQUEST_ID } from '../testing/fixtures';
import { json, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { explainError } from './explainError';
import { RoadbedClient } from './RoadbedClient';

function setUp() {
  const sidecar = new SidecarDouble();
  return { sidecar, client: new RoadbedClient({ fetchApi: sidecar.fetchApi }) };
}

test('a list is asked for with its filters, states separated by commas', async () => {
  const { sidecar, client } = setUp();
  sidecar.on('GET /requests', { items: [aRequest()], next: 'more' });
  const page = await client.listRequests({ mine: true, state: ['queued', 'applying'], environment: 'dev', cursor: 'c' });
  expect(page.next).toBe('more');
  expect(Object.fromEntries(sidecar.calls[0].query)).toEqual({
    mine: 'true',
    state: 'queued,applying',
    environment: 'dev',
    cursor: 'c',
    limit: '25',
  });
});

test('a change carries its key, so that it is made once', async () => {
  const { sidecar, client } = setUp();
  sidecar.on(`POST /instances/${INSTANCE_ID}/destroy`, () => json({ request: aRequest({ action: 'destroy' }) }, 202));
  sidecar.on(`POST /requests/${REQUEST_ID}/cancel`, () => json({ request: aRequest() }, 202));
  await client.destroyInstance(INSTANCE_ID, 'orders-store', 'key-1');
  await client.cancelRequest(REQUEST_ID, 'key-2');
  expect(sidecar.calls.map(call => call.headers.get('idempotency-key'))).toEqual(['key-1', 'key-2']);
});

test('an instance is read with its requests', async () => {
  const { sidecar, client } = setUp();
  sidecar.on(`GET /instances/${INSTANCE_ID}`, { instance: anInstance(), requests: [aRequest()] });
  expect((await client.getInstance(INSTANCE_ID)).requests).toHaveLength(1);
});

test('a refusal is told in the words of the sidecar, with all its findings', async () => {
  const { sidecar, client } = setUp();
  sidecar.on(`GET /requests/${REQUEST_ID}`, () =>
    refusal(403, {
      name: 'NotAllowedError',
      message: 'payments owns this.',
      details: [{ path: '/storage_gb', message: 'at most 500' }],
      findings: [overLimit],
      request_id: REQUEST_ID,
    }),
  );
  const thrown = await client.getRequest(REQUEST_ID).catch(error => error);
  expect(explainError(thrown)).toEqual({
    status: 403,
    message: 'payments owns this.',
    details: ['/storage_gb: at most 500'],
    findings: [overLimit],
    requestId: REQUEST_ID,
  });
});

test('an answer that never came is told without the browser’s jargon', () => {
  expect(explainError(new TypeError('Failed to fetch')).message).toBe(
    'Roadbed does not answer at the moment. It may be starting again, or the network may be down.',
  );
});

test('a proxy that cannot reach Roadbed is told without its jargon', async () => {
  const { sidecar, client } = setUp();
  const answer = () => new Response('Error occurred while trying to proxy: localhost:7007', { status: 504 });
  sidecar.on(`GET /requests/${REQUEST_ID}`, answer);
  const explained = explainError(await client.getRequest(REQUEST_ID).catch(error => error));
  expect(explained.status).toBe(503);
  expect(explained.message).not.toMatch(/proxy|localhost/);
});
