import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { AuthService, DiscoveryService, LoggerService } from '@backstage/backend-plugin-api';
import type { EntityProviderMutation } from '@backstage/plugin-catalog-node';
import type { components } from '../../roadbed/src/api/schema.gen.ts';
import { RoadbedFeed } from './feed.ts';
import { RoadbedEntityProvider, backoffMs } from './provider.ts';

type Answer = { status: number; body?: unknown };

// The answers are written against the types generated from Roadbed's own specification, so that neither drifts unseen.
type Schemas = components['schemas'];

const resource = (name: string): Schemas['Entity'] => ({
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Resource',
  metadata: { name, namespace: 'dev', title: name, annotations: { 'roadbed.dev/phase': 'ready' }, links: [] },
  spec: { type: 'database', owner: 'group:default/payments', dependsOn: ['resource:dev/network.vpc'] },
});

const located = (name: string, key = 'roadbed:default') => {
  const entity = resource(name);
  return {
    entity: {
      ...entity,
      metadata: {
        ...entity.metadata,
        annotations: {
          'backstage.io/managed-by-location': key,
          'backstage.io/managed-by-origin-location': key,
          ...entity.metadata.annotations,
        },
      },
    },
    locationKey: key,
  };
};

const snapshot = (cursor: string, ...names: string[]): Answer => ({
  status: 200,
  body: { entities: names.map(resource), cursor, complete: true } satisfies Schemas['EntitySnapshot'],
});

const changes = (cursor: string, added: string[], removed: string[]): Answer => ({
  status: 200,
  body: { added: added.map(resource), removed, cursor } satisfies Schemas['EntityChanges'],
});

const HELD = 'held';

/**
 * follow runs a provider against an HTTP server that gives the answers in turn and then holds every request, as Roadbed
 * does while nothing happens. It returns when the first request is held, so what came before is complete.
 */
async function follow(
  context: TestContext,
  answers: Answer[],
  options: { fullEveryMs?: number; instance?: string; refuse?: EntityProviderMutation['type'] } = {},
) {
  const calls: string[] = [];
  const authorizations = new Set<string | undefined>();
  const left = [...answers];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    calls.push(request.url!);
    authorizations.add(request.headers.authorization);
    const answer = left.shift();
    if (!answer) {
      server.emit(HELD);
      return;
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer.body ?? {}));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/roadbed`;

  const auth = {
    getOwnServiceCredentials: async () => ({ principal: { type: 'service', subject: 'plugin:catalog' } }),
    getPluginRequestToken: async ({ targetPluginId, onBehalfOf }: { targetPluginId: string; onBehalfOf: unknown }) => ({
      token: `${targetPluginId}-for-${(onBehalfOf as { principal: { subject: string } }).principal.subject}`,
    }),
  } as unknown as AuthService;
  const discovery = { getBaseUrl: async () => base } as unknown as DiscoveryService;
  const logs: string[] = [];
  const log = (line: string) => logs.push(line);
  const logger = { info: log, warn: log, error: log, debug: log, child: () => logger } as unknown as LoggerService;

  const provider = new RoadbedEntityProvider({
    feed: new RoadbedFeed({ auth, discovery }),
    logger,
    instance: options.instance ?? 'default',
    firstWaitMs: 2,
    fullEveryMs: options.fullEveryMs,
  });
  const mutations: EntityProviderMutation[] = [];
  let refused = false;
  await provider.connect({
    async applyMutation(mutation) {
      if (mutation.type === options.refuse && !refused) {
        refused = true;
        throw new Error('the database is away');
      }
      mutations.push(mutation);
    },
    async refresh() {},
  });

  const stop = new AbortController();
  const held = once(server, HELD, { signal: AbortSignal.timeout(10_000) });
  const running = provider.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await running;
    server.closeAllConnections();
    server.close();
  });
  await held;
  return { calls: calls.map(call => call.replace('/api/roadbed', '')), authorizations, mutations, logs, stop, running };
}

test('everything is read at the start, then changes are followed from its cursor', async context => {
  const { calls, authorizations, mutations } = await follow(context, [
    snapshot('c/1', 'orders', 'carts'),
    changes('c/2', ['stock'], []),
    changes('c/3', [], ['resource:dev/carts']),
  ]);
  assert.deepEqual(calls, [
    '/entities',
    '/entities/changes?after=c%2F1',
    '/entities/changes?after=c%2F2',
    '/entities/changes?after=c%2F3',
  ]);
  assert.deepEqual([...authorizations], ['Bearer roadbed-for-plugin:catalog']);
  assert.deepEqual(mutations, [
    { type: 'full', entities: [located('orders'), located('carts')] },
    { type: 'delta', added: [located('stock')], removed: [] },
    { type: 'delta', added: [], removed: [{ entityRef: 'resource:dev/carts', locationKey: 'roadbed:default' }] },
  ]);
});

test('an instance has a location key of its own', async context => {
  const { mutations } = await follow(context, [snapshot('1', 'orders')], { instance: 'eu' });
  assert.deepEqual(mutations, [{ type: 'full', entities: [located('orders', 'roadbed:eu')] }]);
});

test('an answer without news changes nothing', async context => {
  const { mutations, calls } = await follow(context, [snapshot('1', 'orders'), changes('1', [], []), changes('1', [], [])]);
  assert.equal(mutations.length, 1);
  assert.equal(calls.length, 4);
});

test('nothing is removed by a read that is partial, broken or failed', async context => {
  const cases: Record<string, Answer> = {
    'a partial one': { status: 200, body: { entities: [], cursor: '1', complete: false } },
    'one that does not say whether it is complete': { status: 200, body: { entities: [], cursor: '1' } },
    'one without entities': { status: 200, body: { cursor: '1', complete: true } },
    'one with something else in it': { status: 200, body: { entities: [{ name: 'x' }], cursor: '1', complete: true } },
    'a refusal': { status: 503, body: { error: { name: 'ServiceUnavailableError', message: 'starting' }, response: { statusCode: 503 } } },
  };
  for (const [name, answer] of Object.entries(cases)) {
    const { mutations, logs, calls } = await follow(context, [answer, snapshot('2', 'orders')]);
    assert.deepEqual(mutations, [{ type: 'full', entities: [located('orders')] }], name);
    assert.deepEqual(calls, ['/entities', '/entities', '/entities/changes?after=2'], name);
    assert.ok(logs.some(line => line.includes('the catalog keeps what it has')), name);
    assert.ok(logs.includes('roadbed entities are followed again'), name);
  }
});

test('after a failed change the same cursor is asked again', async context => {
  const { calls, mutations } = await follow(context, [snapshot('1', 'orders'), { status: 500 }, changes('2', ['stock'], [])]);
  assert.deepEqual(calls, [
    '/entities',
    '/entities/changes?after=1',
    '/entities/changes?after=1',
    '/entities/changes?after=2',
  ]);
  assert.equal(mutations.length, 2);
});

test('a change that the catalog could not take is asked for again', async context => {
  const { calls, mutations } = await follow(
    context,
    [snapshot('1', 'orders'), changes('2', ['stock'], []), changes('2', ['stock'], [])],
    { refuse: 'delta' },
  );
  assert.deepEqual(calls.slice(1, 3), ['/entities/changes?after=1', '/entities/changes?after=1']);
  assert.deepEqual(mutations.at(-1), { type: 'delta', added: [located('stock')], removed: [] });
});

test('a cursor that is no longer kept leads to a full read', async context => {
  const { calls, mutations } = await follow(context, [snapshot('1', 'orders'), { status: 410 }, snapshot('9', 'orders', 'stock')]);
  assert.deepEqual(calls, ['/entities', '/entities/changes?after=1', '/entities', '/entities/changes?after=9']);
  assert.deepEqual(mutations.map(mutation => mutation.type), ['full', 'full']);
});

test('everything is read again when its time has come', async context => {
  const { calls } = await follow(context, [snapshot('1', 'orders'), snapshot('2', 'orders'), snapshot('3', 'orders')], { fullEveryMs: 0 });
  assert.deepEqual(calls, ['/entities', '/entities', '/entities', '/entities']);
});

test('shutdown ends a request that Roadbed holds, without a complaint', async context => {
  const { stop, running, logs } = await follow(context, [snapshot('1', 'orders')]);
  stop.abort();
  await running;
  assert.ok(!logs.some(line => line.includes('could not be read')), logs.join('\n'));
});

test('waits double up to ten seconds, and half of each is random', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7].map(failures => backoffMs(failures, 500, () => 1));
  assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  assert.equal(backoffMs(2, 500, () => 0), 500);
});
