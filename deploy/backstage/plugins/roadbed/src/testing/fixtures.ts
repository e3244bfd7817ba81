import type { Approval, BudgetLeft, Drift, Estimate, Finding, InfrastructureRequest, Instance, Offering, Parameter, Step, StepStatus, Verdict } from '../api/types';

export const REQUEST_ID = '01980000-0000-7000-8000-000000000001';
export const INSTANCE_ID = '01980000-0000-7000-8000-0000000000aa';

const STEPS = [
  'Validate request',
  'Generate configuration',
  'Create database instance',
  'Configure monitoring',
  'Store credentials',
];

/** someSteps is five steps, of which `done` are completed and the next is as `now` says. */
export function someSteps(done: number, now: StepStatus = 'pending'): Step[] {
  return STEPS.map((name, index) => {
    const status: StepStatus = index < done ? 'completed' : index === done ? now : 'pending';
    const begun = status !== 'pending';
    return {
      step: index + 1,
      name,
      status,
      started_at: begun ? '2026-05-03T14:30:00Z' : null,
      finished_at: status === 'completed' ? '2026-05-03T14:33:20Z' : null,
      duration_seconds: begun ? 0.3 : null,
      details: '',
    };
  });
}

export const estimate: Estimate = {
  monthly_cost: 85.5,
  monthly_total: 85.5,
  annual_cost: 1026,
  annual_total: 1026,
  items: [
    { name: 'compute', monthly_cost: 60 },
    { name: 'storage', monthly_cost: 11.5 },
    { name: 'backup', monthly_cost: 14 },
  ],
  breakdown: { compute: 60, storage: 11.5, backup: 14 },
  prices_digest: 'sha256:00',
  unpriced: [],
  recommendations: [],
};

export const overLimit: Finding = {
  rule: 'cost-limit',
  level: 'deny',
  message: "$171.00 a month is over dev's limit of $100.00 by $71.00.",
  path: '/multi_az',
  way_out: 'Turn off multi-AZ.',
};

/** anApproval is that platform-team has until the next day to approve, and that who looks may not, but for `change`. */
export function anApproval(change: Partial<Approval> = {}): Approval {
  return {
    needed: [
      { approvers: ['group:default/platform-team'], people: ['user:default/pat'], count: 1, missing: 1, rules: ['cost_limit'] },
    ],
    given: [],
    granted: false,
    may_approve: false,
    ceiling: 90,
    void: '',
    expires_at: new Date(Date.now() + 26.5 * 3_600_000).toISOString(),
    plan: {
      create: 2,
      update: 1,
      replace: 0,
      delete: 0,
      changes: [
        { address: 'aws_db_instance.main', type: 'aws_db_instance', action: 'create' },
        { address: 'aws_db_subnet_group.main', type: 'aws_db_subnet_group', action: 'create' },
        { address: 'aws_security_group.main', type: 'aws_security_group', action: 'update' },
      ],
    },
    ...change,
  };
}

/** aRequest is a completed create of orders-store, but for `change`. */
export function aRequest(change: Partial<InfrastructureRequest> = {}): InfrastructureRequest {
  return {
    id: REQUEST_ID,
    action: 'create',
    offering: 'postgres-database',
    offering_name: 'PostgreSQL database',
    offering_version: '1.2.0',
    instance_id: INSTANCE_ID,
    entity_ref: 'resource:dev/orders-store.postgres-database',
    environment: 'dev',
    name: 'orders-store',
    owner: 'group:default/payments',
    cost_center: 'CC-1042',
    parameters: { database_name: 'orders-store', storage_gb: 100, multi_az: false, initial_password: { set: true } },
    state: 'succeeded',
    status: 'completed',
    waiting: '',
    requested_by: 'user:default/ann',
    actor: 'plugin:scaffolder',
    task: '',
    monthly_cost: 85.5,
    estimate,
    plan: null,
    plan_estimate: null,
    outcome: 'allow',
    findings: [],
    cancel_reason: '',
    approval: null,
    error: null,
    outputs: null,
    steps: someSteps(5),
    sequence: 12,
    generation: 1,
    created_at: '2026-05-03T14:30:00Z',
    updated_at: '2026-05-03T14:33:20Z',
    ...change,
  };
}

/** anInstance is orders-store, ready, but for `change`. */
export function anInstance(change: Partial<Instance> = {}): Instance {
  return {
    id: INSTANCE_ID,
    short_id: '9f2c11ab',
    offering: 'postgres-database',
    offering_name: 'PostgreSQL database',
    offering_version: '1.2.0',
    environment: 'dev',
    name: 'orders-store',
    owner: 'group:default/payments',
    cost_center: 'CC-1042',
    state: 'ready',
    generation: 1,
    parameters: {},
    monthly_cost: 85.5,
    reserved: 0,
    committed: 85.5,
    outputs: {
      endpoint: 'orders-store.db.internal',
      port: 5432,
      credentials_secret_arn: 'roadbed://instances/0193/credentials',
      dashboard: 'https://grafana.example.com/d/1',
    },
    request_id: REQUEST_ID,
    entity_ref: 'resource:dev/orders-store.postgres-database',
    available_version: '',
    drift: null,
    created_at: '2026-05-03T14:30:00Z',
    updated_at: '2026-05-03T14:33:20Z',
    ...change,
  };
}

/** noDrift is anInstance as it was asked for, checked. */
export const noDrift: Drift = {
  instance_id: INSTANCE_ID,
  has_drift: false,
  check: { running: false, failure: '', asked_by: 'system:drift', checked_at: '2026-05-03T14:40:00Z' },
};

/** someDrift is anInstance with a connection limit that somebody has changed, but for `change`. */
export function someDrift(change: Partial<Drift> = {}): Drift {
  return {
    ...noDrift,
    has_drift: true,
    cause: '0a1b2c3d4e5f6071',
    titles: ['connection_limit of postgres_database.main is 7'],
    differences: [
      {
        address: 'postgres_database.main',
        type: 'postgres_database',
        kind: 'changed',
        attribute: 'connection_limit',
        expected: 50,
        actual: 7,
        parameter: 'custom_parameters.max_connections',
        cause: '7f3a9c0011223344',
      },
    ],
    detected_at: '2026-05-03T14:40:00Z',
    adoption: { possible: true, summary: 'max_connections not set → 7: $85.50 a month as before; it can be adopted', outcome: 'allow' },
    ...change,
  };
}

/** anEntity is the catalog's entry for anInstance. */
export const anEntity = {
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Resource',
  metadata: {
    namespace: 'dev',
    name: 'orders-store.postgres-database',
    title: 'orders-store',
    annotations: { 'roadbed.dev/instance': INSTANCE_ID },
  },
  spec: { type: 'postgres-database', owner: 'group:default/payments' },
};

/** aDatabase is the offering that most of this asks for. */
export const aDatabase: Offering = {
  id: 'postgres-database',
  name: 'PostgreSQL Database',
  description: '',
  category: 'databases',
  icon: '',
  version: '1.2.0',
  digest: 'sha256:00',
  parameters: [
    aParameter({ name: 'database_name', title: 'Database name', required: true, pattern: '^[a-z][a-z0-9-]{2,30}$' }),
    aParameter({
      name: 'environment',
      title: 'Environment',
      type: 'enum',
      required: true,
      default: 'dev',
      options: [
        { value: 'dev', label: 'Development' },
        { value: 'prod', label: 'Production' },
      ],
    }),
    aParameter({ name: 'storage_gb', title: 'Storage (GB)', type: 'integer', default: 100, min: 20, max: 1000, level: 'advanced' }),
    aParameter({ name: 'multi_az', title: 'Multi-AZ', type: 'boolean', default: false, level: 'advanced' }),
    aParameter({ name: 'admin_password', title: 'Password', sensitive: true }),
    aParameter({ name: 'custom_parameters', title: 'Settings', type: 'map', pattern: '^[a-z_]+$', level: 'expert' }),
  ],
  outputs: [],
  cost_estimate: { monthly_min: 30, monthly_max: 2000, formula: '', items: {} },
  roles: { name: 'database_name', environment: 'environment', owner: 'team_owner', cost_center: 'cost_center' },
  presets: [
    { name: 'small', title: 'Small', description: 'Development and testing', parameters: { storage_gb: 50 }, monthly_cost: 42.75 },
    { name: 'large', title: 'Large', description: 'Production workloads', parameters: { storage_gb: 500, multi_az: true }, monthly_cost: 755 },
  ],
  implementations: ['local'],
  steps: [],
  tags: {},
  docs: '',
  rotates: true,
  escape_hatch: 'Ask #platform-team.',
  drift: {},
  schema: {},
};

function aParameter(change: Partial<Parameter> & { name: string; title: string }): Parameter {
  return { type: 'string', required: false, description: '', level: 'basic', immutable: false, replaces: false, sensitive: false, multiline: false, ...change };
}

/** aBudgetLeft is payments' budget of $20,000 with $15,000 left, but for `change`. */
export function aBudgetLeft(change: Partial<BudgetLeft> = {}): BudgetLeft {
  return {
    kind: 'team',
    name: 'group:default/payments',
    limit: 20_000,
    spent: 5000,
    left: 15_000,
    left_after: 14_914.5,
    level: 'require_approval',
    ...change,
  };
}

/** aVerdict is that $85.50 a month are allowed in dev, but for `change`. */
export function aVerdict(change: Partial<Verdict> = {}): Verdict {
  return {
    allowed: true,
    outcome: 'allow',
    estimate,
    findings: [],
    allowance: { limit: 100, left: 14.5, scope: 'dev' },
    budgets: [],
    recommendations: [],
    holds: [],
    bundle_digest: 'sha256:00',
    at: '2026-05-03T14:30:00Z',
    ...change,
  };
}
