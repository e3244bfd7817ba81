// A stand-in for the sidecar, for looking at the pages without one: it knows a handful of instances and requests, lets a
// new one run through its steps, and believes every token. It is never part of a portal. See README.md for how to start it.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { judge, offering } from './offering.ts';
import type { EvaluationInput } from '../src/api/RoadbedApi.ts';
import type {
  Approval,
  Finding,
  InfrastructureRequest,
  Instance,
  LogLine,
  RequestState,
  Step,
  StepStatus,
} from '../src/api/types.ts';

const port = Number(process.env.PORT ?? 0);
const base = '/api/roadbed';
const stepMs = Number(process.env.STEP_MS ?? 4000);
const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

const STEPS = [
  'Validate request',
  'Generate configuration',
  'Create database instance',
  'Configure monitoring',
  'Store credentials',
];
const PRICES = { compute: 60, storage: 11.5, backup: 14 };

type Subscriber = (event: { id: number; event: string; data: unknown }) => void;
const subscribers = new Map<string, Set<Subscriber>>();
const logs = new Map<string, LogLine[]>();
const requests = new Map<string, InfrastructureRequest>();
const instances = new Map<string, Instance>();

function steps(done: number, now: StepStatus = 'pending', began = 10): Step[] {
  return STEPS.map((name, index) => {
    const status: StepStatus = index < done ? 'completed' : index === done ? now : 'pending';
    return {
      step: index + 1,
      name,
      status,
      started_at: status === 'pending' ? null : ago(began - index),
      finished_at: status === 'completed' ? ago(began - index - 1) : null,
      duration_seconds: status === 'pending' ? null : [0.1, 0.3, 218, 12.4, 1.2][index],
      details: status === 'in_progress' && index === 2 ? 'PostgreSQL 16 is starting' : '',
    };
  });
}

function estimate(multiplier = 1) {
  const items = Object.entries(PRICES).map(([name, cost]) => ({ name, monthly_cost: cost * multiplier }));
  const monthly = items.reduce((sum, item) => sum + item.monthly_cost, 0);
  return {
    monthly_cost: monthly,
    monthly_total: monthly,
    annual_cost: monthly * 12,
    annual_total: monthly * 12,
    items,
    breakdown: Object.fromEntries(items.map(item => [item.name, item.monthly_cost])),
    prices_digest: 'sha256:0',
    recommendations: [],
  };
}

function request(change: Partial<InfrastructureRequest>): InfrastructureRequest {
  const name = change.name ?? 'orders-store';
  const environment = change.environment ?? 'dev';
  const made: InfrastructureRequest = {
    id: randomUUID(),
    action: 'create',
    offering: 'postgres-database',
    offering_name: 'PostgreSQL database',
    offering_version: '1.2.0',
    instance_id: null,
    entity_ref: `resource:${environment}/${name}.postgres-database`,
    environment,
    name,
    owner: 'group:default/payments',
    cost_center: 'CC-1042',
    parameters: {
      database_name: name,
      environment,
      team_owner: 'payments',
      cost_center: 'CC-1042',
      instance_size: 'medium',
      storage_gb: 100,
      multi_az: false,
      initial_password: { set: true },
    },
    state: 'succeeded',
    status: 'completed',
    waiting: '',
    requested_by: 'user:default/ann',
    actor: 'plugin:scaffolder',
    task: '',
    monthly_cost: 85.5,
    estimate: estimate(),
    outcome: 'allow',
    findings: [],
    cancel_reason: '',
    approval: null,
    error: null,
    outputs: null,
    steps: steps(5),
    sequence: 1,
    generation: 1,
    created_at: ago(10),
    updated_at: ago(6),
    ...change,
  };
  requests.set(made.id, made);
  logs.set(made.id, []);
  return made;
}

function instance(of: InfrastructureRequest, change: Partial<Instance>): Instance {
  const made: Instance = {
    id: randomUUID(),
    short_id: randomUUID().slice(0, 8),
    offering: of.offering,
    offering_name: of.offering_name,
    offering_version: of.offering_version,
    environment: of.environment,
    name: of.name,
    owner: of.owner,
    cost_center: of.cost_center,
    state: 'ready',
    generation: 1,
    parameters: of.parameters,
    monthly_cost: of.monthly_cost,
    outputs: {
      endpoint: `${of.name}.db.internal`,
      port: 5432,
      database: of.name.replaceAll('-', '_'),
      username: `${of.name.replaceAll('-', '_')}_owner`,
      monitoring_dashboard: 'https://grafana.example.com/d/postgres',
    },
    request_id: of.id,
    entity_ref: of.entity_ref,
    available_version: '',
    created_at: of.created_at,
    updated_at: of.updated_at,
    ...change,
  };
  of.instance_id = made.id;
  instances.set(made.id, made);
  return made;
}

function asked(): Approval {
  return {
    needed: [
      { approvers: ['group:default/platform-team'], people: ['user:default/pat'], count: 1, missing: 1, rules: ['cost-limit'] },
    ],
    given: [],
    granted: false,
    may_approve: false,
    ceiling: 718.2,
    void: '',
    expires_at: new Date(Date.now() + 26 * 3_600_000).toISOString(),
    plan: {
      create: 3,
      update: 0,
      replace: 0,
      delete: 0,
      changes: ['aws_db_instance.main', 'aws_db_parameter_group.main', 'aws_security_group.main'].map(address => ({
        address,
        type: address.split('.')[0],
        action: 'create' as const,
      })),
    },
  };
}

/** A request as somebody sees it: only pat approves. */
function seenBy(who: string, of: InfrastructureRequest): InfrastructureRequest {
  const may = of.state === 'awaiting_approval' && mayApprove(who);
  return of.approval ? { ...of, approval: { ...of.approval, may_approve: may } } : of;
}

function mayApprove(who: string): boolean {
  return who.endsWith('/pat');
}

function say(id: string, text: string) {
  const lines = logs.get(id)!;
  const line = { position: lines.length + 1, at: new Date().toISOString(), text };
  lines.push(line);
  subscribers.get(`log ${id}`)?.forEach(tell => tell({ id: line.position, event: 'log', data: line }));
}

function changed(of: InfrastructureRequest, event: string) {
  of.sequence += 1;
  of.updated_at = new Date().toISOString();
  const data = { type: `dev.roadbed.${event}.v1`, subject_id: of.id, sequence: of.sequence, at: of.updated_at, data: {} };
  subscribers.get(`events ${of.id}`)?.forEach(tell => tell({ id: of.sequence, event, data }));
}

/** Lets a request run through its steps, then sets its instance as it should be. */
async function run(of: InfrastructureRequest, end: () => void) {
  of.state = 'applying';
  of.waiting = '';
  of.steps = steps(0);
  for (const step of of.steps) {
    const began = Date.now();
    step.status = 'in_progress';
    step.started_at = new Date().toISOString();
    changed(of, 'step.started');
    for (let part = 0; part < 4; part++) {
      say(of.id, `${step.name.toLowerCase()}: part ${part + 1} of 4`);
      await new Promise(resolve => setTimeout(resolve, stepMs / 4));
      if (of.cancel_reason) {
        of.state = 'cancelled';
        step.status = 'failed';
        changed(of, 'request.cancelled');
        return;
      }
      step.duration_seconds = (Date.now() - began) / 1000;
    }
    step.status = 'completed';
    step.finished_at = new Date().toISOString();
    changed(of, 'step.completed');
  }
  of.state = 'succeeded';
  end();
  changed(of, 'request.succeeded');
}

const overLimit: Finding = {
  rule: 'cost-limit',
  level: 'deny',
  message: "$171.00 a month is over dev's limit of $100.00 by $71.00.",
  path: '/multi_az',
  way_out: 'Turn off multi-AZ ($85.50 a month), or choose the small size.',
};
const noBackup: Finding = {
  rule: 'backup',
  level: 'warn',
  message: 'Backups are kept for one day only.',
  path: '/backup_retention_days',
  way_out: 'Seven days cost $3.20 a month more.',
};

function furnish() {
  const ready = request({ name: 'orders-store', environment: 'prod', created_at: ago(60 * 24 * 20), steps: steps(5, 'pending', 60 * 24 * 20), outcome: 'warn', findings: [noBackup] });
  instance(ready, { updated_at: ago(60 * 24 * 20) });
  say(ready.id, 'Terraform has been initialized.');
  say(ready.id, 'aws_db_instance.main: Creation complete after 3m38s');

  const failed = request({
    name: 'ledger',
    environment: 'staging',
    state: 'failed',
    status: 'failed',
    steps: steps(2, 'failed'),
    created_at: ago(50),
    updated_at: ago(44),
    error: {
      message: 'The database instance could not be created.',
      step: 3,
      steps: 5,
      name: 'Create database instance',
      detail:
        'Error: creating RDS DB Instance (ledger-9f2c11ab): InsufficientDBInstanceCapacity: The requested DB instance class is not available in eu-central-1a.',
      way_out: 'Ask again with another size, or in an hour. What was made so far can be destroyed from its page.',
    },
  });
  instance(failed, { state: 'incomplete', outputs: null });
  for (let line = 1; line <= 40; line++) {
    say(failed.id, `aws_db_instance.main: Still creating... [${line}0s elapsed]`);
  }

  const denied = request({
    name: 'reports',
    state: 'denied',
    status: 'failed',
    outcome: 'deny',
    steps: [],
    monthly_cost: 171,
    estimate: estimate(2),
    findings: [overLimit, noBackup],
    created_at: ago(8),
    updated_at: ago(8),
  });
  denied.error = { message: 'Policy does not allow this.' };
  denied.parameters = { ...denied.parameters, multi_az: true };

  const queued = request({
    name: 'sessions',
    state: 'queued',
    status: 'pending',
    waiting: 'waiting for a worker: all 4 slots of the dev pool are taken',
    steps: steps(0),
    created_at: ago(2),
    updated_at: ago(2),
  });
  instance(queued, { state: 'reserved', outputs: null });

  const approval = request({
    name: 'warehouse',
    environment: 'prod',
    state: 'awaiting_approval',
    status: 'validating',
    waiting: 'platform-team may approve until 14:00 tomorrow',
    outcome: 'require_approval',
    findings: [{ ...overLimit, level: 'require_approval', message: '$684.00 a month needs an approval in prod.', way_out: '' }],
    approval: asked(),
    steps: steps(1),
    monthly_cost: 684,
    estimate: estimate(8),
    created_at: ago(35),
    updated_at: ago(34),
  });
  instance(approval, { state: 'reserved', outputs: null });

  const running = request({ name: 'carts', steps: steps(0), created_at: ago(1), updated_at: ago(1) });
  const carts = instance(running, { state: 'reserved', outputs: null });
  const filled = {
    endpoint: 'carts.db.internal',
    port: 5432,
    database: 'carts',
    username: 'carts_owner',
    monitoring_dashboard: 'https://grafana.example.com/d/postgres',
  };
  run(running, () => Object.assign(carts, { state: 'ready', outputs: filled, updated_at: new Date().toISOString() }));

  for (let number = 1; number <= 28; number++) {
    request({ name: `trial-${number}`, state: number % 7 === 0 ? 'cancelled' : 'succeeded', created_at: ago(3000 + number * 700) });
  }
}

function subject(incoming: IncomingMessage): string {
  const token = incoming.headers.authorization?.split(' ')[1] ?? '';
  try {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).sub ?? 'user:default/ann';
  } catch {
    return 'user:default/ann';
  }
}

async function readBody(incoming: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const part of incoming) {
    text += part;
  }
  return text ? JSON.parse(text) : undefined;
}

function refuse(name: string, statusCode: number, message: string) {
  return { status: statusCode, body: { error: { name, message }, request: { method: '', url: '' }, response: { statusCode } } };
}

function entity(of: Instance) {
  const { namespace, name } = { namespace: of.environment, name: `${of.name}.${of.offering}` };
  const location = `url:http://127.0.0.1:${port}${base}/instances/${of.id}`;
  return {
    apiVersion: 'backstage.io/v1alpha1',
    kind: 'Resource',
    metadata: {
      namespace,
      name,
      title: of.name,
      description: of.offering_name,
      annotations: {
        'backstage.io/managed-by-location': location,
        'backstage.io/managed-by-origin-location': location,
        'roadbed.dev/instance': of.id,
        'roadbed.dev/request': of.request_id,
        'roadbed.dev/phase': of.state,
        'roadbed.dev/offering': `${of.offering}@${of.offering_version}`,
      },
      links: [],
    },
    spec: { type: of.offering, owner: of.owner },
  };
}

function page<T>(items: T[], query: URLSearchParams) {
  const from = Number(query.get('cursor') ?? 0);
  const limit = Number(query.get('limit') ?? 50);
  return { items: items.slice(from, from + limit), next: from + limit < items.length ? String(from + limit) : '' };
}

function fits(of: { owner: string; offering: string; environment: string }, query: URLSearchParams): boolean {
  return (['owner', 'offering', 'environment'] as const).every(field => !query.get(field) || of[field] === query.get(field));
}

function newestFirst<T extends { created_at: string }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => b.created_at.localeCompare(a.created_at));
}

function stream(incoming: IncomingMessage, outgoing: ServerResponse, topic: string, open: () => boolean, missed: () => void) {
  outgoing.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' });
  outgoing.write(': here\n\n');
  const tell: Subscriber = ({ id, event, data }) => {
    outgoing.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  subscribers.set(topic, (subscribers.get(topic) ?? new Set()).add(tell));
  missed();
  const beat = setInterval(() => {
    outgoing.write(': beat\n\n');
    if (!open()) {
      outgoing.end();
    }
  }, 1000);
  incoming.on('close', () => {
    clearInterval(beat);
    subscribers.get(topic)?.delete(tell);
  });
}

function answer(method: string, path: string, query: URLSearchParams, who: string, body: unknown): { status: number; body: unknown } {
  const ok = (body: unknown, status = 200) => ({ status, body });
  const [kind, id, verb] = path.split('/').slice(1);
  if (kind === 'me') {
    return ok({ subject: who, groups: [who.endsWith('ben') ? 'group:default/search' : 'group:default/payments'], platform_team: false });
  }
  if (kind === 'environments') {
    const environments = ['dev', 'staging', 'prod'].map(name => ({ name, title: name, implementation: 'local', region: 'local' }));
    return ok({ items: environments });
  }
  if (kind === 'offerings') {
    if (verb === 'evaluate') {
      return ok(judge(body as EvaluationInput));
    }
    return ok(id ? offering : { items: [offering] });
  }
  if (kind === 'entities') {
    return ok({ entities: [...instances.values()].map(entity), cursor: '1', complete: true });
  }
  if (kind === 'approvals') {
    const waiting = newestFirst(requests.values()).filter(one => one.state === 'awaiting_approval' && mayApprove(who));
    return ok({ items: waiting.reverse().map(one => seenBy(who, one)), next: '' });
  }
  if (kind === 'requests' && !id) {
    const states = query.get('state')?.split(',') as RequestState[] | undefined;
    const found = newestFirst(requests.values()).filter(
      one => fits(one, query) && (!query.get('mine') || one.requested_by === who) && (!states || states.includes(one.state)),
    );
    return ok(page(found, query));
  }
  if (kind === 'requests') {
    const found = requests.get(id);
    if (!found) {
      return refuse('NotFoundError', 404, `No request ${id} that you may see.`);
    }
    if (verb === 'logs') {
      return ok({ items: logs.get(id)!.filter(line => line.position > Number(query.get('after') ?? 0)).slice(0, 500) });
    }
    if ((verb === 'approve' || verb === 'reject') && method === 'POST') {
      if (!mayApprove(who)) {
        return refuse('NotAllowedError', 403, 'only platform-team may approve this');
      }
      if (found.state !== 'awaiting_approval' || !found.approval) {
        return refuse('ConflictError', 409, `request ${id} does not wait for approval`);
      }
      const reason = (body as { reason?: string } | undefined)?.reason ?? '';
      found.approval.expires_at = null;
      if (verb === 'reject') {
        Object.assign(found, { state: 'denied', error: { message: `Rejected by pat: ${reason}` } });
        changed(found, 'request.denied');
        return ok({ request: seenBy(who, found) });
      }
      found.approval.given.push({ by: who, at: new Date().toISOString(), reason });
      Object.assign(found.approval, { granted: true, needed: found.approval.needed.map(need => ({ ...need, missing: 0 })) });
      run(found, () => {});
      return ok({ request: seenBy(who, found) });
    }
    if (verb === 'cancel' && method === 'POST') {
      found.cancel_reason = `cancelled by ${who}`;
      if (found.state === 'queued' || found.state === 'awaiting_approval') {
        found.state = 'cancelled';
      }
      changed(found, 'request.cancelling');
      return ok({ request: found }, 202);
    }
    return ok({ request: seenBy(who, found) });
  }
  if (kind === 'instances' && !id) {
    return ok(page(newestFirst(instances.values()).filter(one => fits(one, query)), query));
  }
  const found = kind === 'instances' ? instances.get(id) : undefined;
  if (!found) {
    return refuse('NotFoundError', 404, `Nothing at ${path}.`);
  }
  if (verb === 'credentials') {
    return who.endsWith('ben')
      ? refuse('NotAllowedError', 403, 'group:default/payments owns these credentials.')
      : ok({ credentials: { username: `${found.name}_owner`, password: 'correct-horse-battery-staple', host: `${found.name}.db.internal`, port: 5432 } });
  }
  if (verb === 'destroy') {
    const destroy = request({
      action: 'destroy',
      name: found.name,
      environment: found.environment,
      requested_by: who,
      parameters: {},
      estimate: null,
      created_at: new Date().toISOString(),
    });
    Object.assign(destroy, { instance_id: found.id });
    Object.assign(found, { state: 'destroying', request_id: destroy.id, updated_at: new Date().toISOString() });
    run(destroy, () => Object.assign(found, { state: 'destroyed', outputs: null, updated_at: new Date().toISOString() }));
    return ok({ request: destroy }, 202);
  }
  return ok({ instance: found, requests: newestFirst(requests.values()).filter(one => one.instance_id === found.id) });
}

const server = createServer((incoming, outgoing) => {
  const url = new URL(incoming.url ?? '/', 'http://sidecar');
  const path = url.pathname.slice(base.length);
  const wantsStream = incoming.headers.accept === 'text/event-stream';
  const after = Number(incoming.headers['last-event-id'] ?? url.searchParams.get('after') ?? 0);
  const [, kind, id, verb] = path.split('/');
  const streamed = kind === 'requests' ? requests.get(id) : undefined;
  const alive = () => ['applying', 'queued', 'planning', 'awaiting_approval'].includes(streamed!.state);
  if (streamed && wantsStream && verb === 'events') {
    return stream(incoming, outgoing, `events ${id}`, alive, () => {});
  }
  if (streamed && wantsStream && verb === 'logs') {
    return stream(incoming, outgoing, `log ${id}`, alive, () => {
      for (const line of logs.get(id)!.filter(one => one.position > after)) {
        outgoing.write(`id: ${line.position}\nevent: log\ndata: ${JSON.stringify(line)}\n\n`);
      }
    });
  }
  if (path.startsWith('/entities/changes')) {
    setTimeout(() => outgoing.writeHead(410, { 'content-type': 'application/json' }).end(JSON.stringify(refuse('GoneError', 410, 'read it all').body)), 1000);
    return undefined;
  }
  return readBody(incoming).then(sent => {
    const { status, body } = answer(incoming.method ?? 'GET', path, url.searchParams, subject(incoming), sent);
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
});

furnish();
server.listen(port, '127.0.0.1', () => {
  const address = server.address();
  console.log(`sidecar stand-in at http://127.0.0.1:${typeof address === 'object' ? address?.port : port}${base}`);
});
