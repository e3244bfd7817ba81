import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { LoggerService } from '@backstage/backend-plugin-api';
import type { components } from '../../roadbed/src/api/schema.gen.ts';
import { createRequestAction, idempotencyKey } from './action.ts';
import { RoadbedClient } from './client.ts';
import { backstageAt, startSidecar, type Answer } from './sidecar.testing.ts';

// The answers are written against the types generated from Roadbed's own specification, so that neither drifts unseen.
type Schemas = components['schemas'];

function estimate(monthly_cost: number, breakdown: Record<string, number> = {}): Schemas['Estimate'] {
  const items = Object.entries(breakdown).map(([name, cost]) => ({ name, monthly_cost: cost }));
  const annual_cost = 12 * monthly_cost;
  const totals = { monthly_cost, monthly_total: monthly_cost, annual_cost, annual_total: annual_cost };
  return { ...totals, items, breakdown, prices_digest: '', unpriced: [], recommendations: [] };
}

const JUDGED = { allowance: null, budgets: [], recommendations: [], holds: [], bundle_digest: 'sha256:0', at: '2026-11-24T12:00:00Z' };

const ACCEPTED: Answer = {
  status: 202,
  body: {
    request: {
      id: '0193a1b2-0000-7000-8000-000000000001',
      state: 'queued',
      entity_ref: 'resource:dev/orders.postgres-database',
      name: 'orders',
      environment: 'dev',
      outcome: 'warn',
      estimate: estimate(85.5, { compute: 60, storage: 25.5 }),
      findings: [{ rule: 'backups', level: 'warn', message: 'Backups are kept for 1 day.', path: '', way_out: '' }],
    } satisfies Partial<Schemas['Request']>,
  },
};

const DENIED: Answer = {
  status: 403,
  body: {
    error: {
      name: 'NotAllowedError',
      message: 'Policy denies this request in dev.',
      findings: [
        { rule: 'cost-limit', level: 'deny', message: "Over dev's $100 limit by $71.00.", path: '/size', way_out: 'Turn off multi-AZ.' },
        { rule: 'public-access', level: 'deny', message: 'Databases may not be public.', path: '', way_out: '' },
        { rule: 'window', level: 'require_approval', message: 'Needs the platform team.', path: '', way_out: 'Ask platform-team.' },
      ],
      alternatives: [
        { changes: { multi_az: false }, monthly_cost: 85.5, text: 'turn off multi-AZ' },
        { changes: { storage_gb: 156 }, monthly_cost: 1099.98, text: 'storage 300 → 156 GB' },
      ],
      request_id: '0193a1b2-0000-7000-8000-000000000002',
    },
    request: { method: 'POST', url: '/requests' },
    response: { statusCode: 403 },
  } satisfies Schemas['ErrorBody'],
};

async function runAction(
  context: TestContext,
  answers: Answer[],
  options: { input?: object; isDryRun?: boolean; signal?: AbortSignal; url?: string; onLog?(line: string): void } = {},
) {
  const sidecar = await startSidecar(context, ...answers);
  const action = createRequestAction({
    client: new RoadbedClient({ ...backstageAt(options.url ?? sidecar.url), firstWaitMs: 5 }),
  });
  const outputs: Record<string, unknown> = {};
  const logs: string[] = [];
  const log = (line: string) => {
    logs.push(line);
    options.onLog?.(line);
  };
  const logger = { info: log, warn: log, error: log, debug: log, child: () => logger } as LoggerService;
  const done = Promise.resolve(
    action.handler({
      input: { offering: 'postgres-database', parameters: { database_name: 'orders' }, ...options.input },
      task: { id: 'task-1' },
      step: { id: 'request', name: 'Request' },
      logger,
      isDryRun: options.isDryRun,
      signal: options.signal,
      output: (name: string, value: unknown) => {
        outputs[name] = value;
      },
      getInitiatorCredentials: async () => ({
        $$type: '@backstage/BackstageCredentials',
        principal: { type: 'user', userEntityRef: 'user:default/ann' },
      }),
    } as unknown as Parameters<typeof action.handler>[0]),
  );
  const error = await done.then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  return { ...sidecar, outputs, logs, error };
}

test('a request goes out for the person, once, and its answer becomes the outputs', async context => {
  const { received, outputs, logs, error } = await runAction(context, [ACCEPTED]);
  assert.equal(error, undefined);
  assert.equal(received.length, 1);
  const [{ method, url, headers, body }] = received;
  assert.equal(`${method} ${url}`, 'POST /api/roadbed/requests');
  assert.equal(headers.authorization, 'Bearer roadbed-for-user:default/ann');
  assert.equal(headers['idempotency-key'], 'task-1:request');
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual(body, {
    offering: 'postgres-database',
    parameters: { database_name: 'orders' },
    source: { task: 'task-1' },
  });
  assert.deepEqual(outputs, {
    requestId: '0193a1b2-0000-7000-8000-000000000001',
    requestUrl: '/infrastructure/requests/0193a1b2-0000-7000-8000-000000000001',
    entityRef: 'resource:dev/orders.postgres-database',
    state: 'queued',
    estimate: '$85.50 / month (compute $60.00, storage $25.50)',
  });
  assert.ok(logs.includes('Warning: Backups are kept for 1 day. [backups]'), logs.join('\n'));
});

test('how long it lives goes along, asked for and tried', async context => {
  const { received } = await runAction(context, [ACCEPTED], { input: { expiresIn: '24h' } });
  assert.equal((received[0].body as { expires_in?: string }).expires_in, '24h');
  const allowed = { status: 200, body: { ...JUDGED, outcome: 'allow', allowed: true, findings: [], estimate: estimate(85.5) } };
  const tried = await runAction(context, [allowed], { input: { expiresIn: '24h' }, isDryRun: true });
  assert.equal(tried.error, undefined);
  assert.equal((tried.received[0].body as { expires_in?: string }).expires_in, '24h');
});

test('the key of an each step is part of the idempotency key', async context => {
  const { received } = await runAction(context, [ACCEPTED], { input: { requestKey: 'größe 1' } });
  assert.equal(received[0].headers['idempotency-key'], 'task-1:request:gr%C3%B6%C3%9Fe%201');
});

test('idempotency keys', () => {
  const cases: Record<string, [string | undefined, unknown, string]> = {
    'a plain step': ['ask', undefined, 't:ask'],
    'a step of an array': ['ask', 0, 't:ask:0'],
    'a step of an object': ['ask', 'dev', 't:ask:dev'],
    'a step without an id': [undefined, undefined, 't:request'],
  };
  for (const [name, [step, each, want]] of Object.entries(cases)) {
    assert.equal(idempotencyKey('t', step, each), want, name);
  }
});

test('a denial ends the task with every reason and its way out, one a line', async context => {
  const { error, outputs, received } = await runAction(context, [DENIED]);
  assert.equal(error?.name, 'NotAllowedError');
  assert.deepEqual(error.message.split('\n'), [
    'Policy denies this request in dev.',
    "Denied: /size: Over dev's $100 limit by $71.00. Way out: Turn off multi-AZ. [cost-limit]",
    'Denied: Databases may not be public. [public-access]',
    'Needs approval: Needs the platform team. Way out: Ask platform-team. [window]',
    'Smallest changes that fit: turn off multi-AZ ($85.50); storage 300 → 156 GB ($1,099.98)',
    'Kept as request 0193a1b2-0000-7000-8000-000000000002: /infrastructure/requests/0193a1b2-0000-7000-8000-000000000002',
  ]);
  assert.equal(error.stack, `NotAllowedError: ${error.message}`, 'the step log shows the stack: it has to be the reasons');
  assert.equal(received.length, 1, 'a denial is an answer and is not asked for again');
  assert.deepEqual(outputs, {});
});

test('a denial whose message is made of its reasons tells each once', async context => {
  const body = structuredClone(DENIED.body) as Schemas['ErrorBody'];
  body.error.message = body.error.findings!.map(({ message, way_out: wayOut }) => `${message} ${wayOut}`.trim()).join('\n');
  const { error } = await runAction(context, [{ status: 403, body }]);
  assert.deepEqual(
    error?.message.split('\n').map(line => line.split(':')[0]),
    ['Denied', 'Denied', 'Needs approval', 'Smallest changes that fit', 'Kept as request 0193a1b2-0000-7000-8000-000000000002'],
  );
});

test('other refusals keep their kind and their words', async context => {
  const refuse = (status: number, error: Schemas['ErrorInfo']): Answer => ({
    status,
    body: { error, request: { method: 'POST', url: '/requests' }, response: { statusCode: status } } satisfies Schemas['ErrorBody'],
  });
  const cases: Record<string, { answer: Answer; name: string; message: RegExp }> = {
    'a conflict names what is in the way': {
      answer: refuse(409, { name: 'ConflictError', message: 'orders already exists in dev.' }),
      name: 'ConflictError',
      message: /^orders already exists in dev\.$/,
    },
    'invalid input lists every fault': {
      answer: refuse(400, {
        name: 'InputError',
        message: 'Two parameters are not valid.',
        details: [{ path: '/storage_gb', message: 'must be at least 10' }, { path: '/size', message: 'must be one of small, large' }],
      }),
      name: 'InputError',
      message: /^Two parameters are not valid\.\n\/storage_gb: must be at least 10\n\/size: must be one of small, large$/,
    },
    'a session that ran out says what to do': {
      answer: refuse(401, { name: 'AuthenticationError', message: 'The token has expired.' }),
      name: 'AuthenticationError',
      message: /The token has expired\.\nYour sign-in may have run out.*start the task again/,
    },
    'an unknown offering': {
      answer: refuse(404, { name: 'NotFoundError', message: 'There is no offering postgres-database.' }),
      name: 'NotFoundError',
      message: /no offering/,
    },
    'a page from a proxy is quoted': {
      answer: { status: 500, body: '<h1>Oops</h1>' },
      name: 'Error',
      message: /Roadbed answered 500, but not in its own words: <h1>Oops<\/h1>/,
    },
  };
  for (const [name, { answer, ...want }] of Object.entries(cases)) {
    const { error } = await runAction(context, [answer]);
    assert.equal(error?.name, want.name, name);
    assert.match(error.message, want.message, name);
  }
});

test('while Roadbed is not ready the same request is made again, with the same key', async context => {
  const busy: Answer = { status: 503, headers: { 'retry-after': '0' } };
  const { received, error, outputs } = await runAction(context, [busy, { status: 504, body: 'proxy' }, ACCEPTED]);
  assert.equal(error, undefined);
  assert.equal(outputs.state, 'queued');
  assert.deepEqual(received.map(each => each.headers['idempotency-key']), Array(3).fill('task-1:request'));
});

test('a Roadbed that stays away ends the task after five tries', async context => {
  const { received, error } = await runAction(context, [{ status: 503 }]);
  assert.equal(received.length, 5);
  assert.equal(error?.name, 'ServiceUnavailableError');
  assert.match(error.message, /cannot be reached just now \(status 503\)/);
});

test('nobody listening is told apart from a refusal', async context => {
  const { error } = await runAction(context, [ACCEPTED], { url: 'http://127.0.0.1:1/api/roadbed' });
  assert.equal(error?.name, 'ServiceUnavailableError');
});

test('a cancelled task stops waiting for Retry-After', async context => {
  const cancel = new AbortController();
  const { error, received } = await runAction(context, [{ status: 503, headers: { 'retry-after': '30' } }], {
    signal: cancel.signal,
    onLog: line => line.includes('asking again in 30.0 s') && setImmediate(() => cancel.abort()),
  });
  assert.equal(error?.name, 'AbortError');
  assert.equal(received.length, 1);
});

test('a dry run asks for a judgement only', async context => {
  const verdict: Schemas['Verdict'] = { allowed: true, outcome: 'allow', estimate: estimate(42), findings: [], ...JUDGED };
  const { received, outputs, logs, error } = await runAction(context, [{ status: 200, body: verdict }], { isDryRun: true });
  assert.equal(error, undefined);
  assert.equal(`${received[0].method} ${received[0].url}`, 'POST /api/roadbed/offerings/postgres-database/evaluate');
  assert.deepEqual(received[0].body, { parameters: { database_name: 'orders' }, advise: true });
  assert.equal(received[0].headers['idempotency-key'], undefined);
  assert.equal(outputs.estimate, '$42.00 / month');
  assert.ok(logs.includes('It is allowed.'), logs.join('\n'));
});

test('a dry run of what would be denied fails with the reasons', async context => {
  const verdict: Schemas['Verdict'] = {
    allowed: false,
    outcome: 'deny',
    estimate: null,
    findings: [{ rule: 'cost-limit', level: 'deny', message: 'Too expensive.', path: '', way_out: 'Choose small.' }],
    advice: { ranges: {}, presets: [], alternatives: [{ changes: { size: 'small' }, monthly_cost: 30, text: 'size large → small' }] },
    ...JUDGED,
  };
  const { error } = await runAction(context, [{ status: 200, body: verdict }], { isDryRun: true });
  assert.equal(error?.name, 'NotAllowedError');
  assert.match(error.message, /would be denied.*\nDenied: Too expensive\. Way out: Choose small\. \[cost-limit\]\nSmallest .* size large → small \(\$30\.00\)$/s);
});
