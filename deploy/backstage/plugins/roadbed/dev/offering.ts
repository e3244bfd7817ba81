// The database that the stand-in offers, and what it says of a form: prices and limits as people would meet them.
import type { EvaluationInput } from '../src/api/RoadbedApi.ts';
import type { Alternative, Finding, Offering, Parameter, Parameters, Verdict } from '../src/api/types.ts';

const LIMITS: Record<string, number> = { dev: 100, staging: 500, prod: 10_000 };
const SIZES: Record<string, number> = { 'db.t3.small': 30, 'db.t3.medium': 60, 'db.t3.large': 120, 'db.r6g.xlarge': 250 };

function parameter(change: Partial<Parameter> & { name: string; title: string }): Parameter {
  return { type: 'string', required: false, description: '', level: 'basic', immutable: false, replaces: false, sensitive: false, multiline: false, ...change };
}

const PRESETS: { name: string; title: string; description: string; parameters: Parameters }[] = [
  { name: 'small', title: 'Small', description: 'Development and testing', parameters: { instance_class: 'db.t3.small', storage_gb: 50 } },
  { name: 'medium', title: 'Medium', description: 'Small production workloads', parameters: { instance_class: 'db.t3.large', storage_gb: 200 } },
  {
    name: 'large',
    title: 'Large',
    description: 'Production workloads, with a standby in a second zone',
    parameters: { instance_class: 'db.r6g.xlarge', storage_gb: 500, multi_az: true },
  },
];

export const offering: Offering = {
  id: 'postgres-database',
  name: 'PostgreSQL database',
  description: 'Managed PostgreSQL database',
  category: 'databases',
  icon: 'postgresql',
  version: '1.3.0',
  digest: 'sha256:0',
  parameters: [
    parameter({ name: 'database_name', title: 'Database name', required: true, pattern: '^[a-z][a-z0-9-]{2,30}$' }),
    parameter({
      name: 'environment',
      title: 'Environment',
      type: 'enum',
      required: true,
      default: 'dev',
      options: Object.keys(LIMITS).map(value => ({ value, label: value })),
    }),
    parameter({
      name: 'instance_class',
      title: 'Instance size',
      type: 'enum',
      default: 'db.t3.medium',
      options: Object.keys(SIZES).map(value => ({ value, label: value })),
      level: 'advanced',
    }),
    parameter({ name: 'storage_gb', title: 'Storage (GB)', type: 'integer', default: 100, min: 20, max: 1000, level: 'advanced' }),
    parameter({ name: 'backup_retention_days', title: 'Backup retention (days)', type: 'integer', default: 7, min: 1, max: 35, level: 'advanced' }),
    parameter({ name: 'multi_az', title: 'Multi-AZ', type: 'boolean', default: false, level: 'advanced' }),
    parameter({ name: 'team_owner', title: 'Team', required: true }),
    parameter({ name: 'cost_center', title: 'Cost centre', required: true, max: 40 }),
    parameter({ name: 'custom_parameters', title: 'PostgreSQL settings', type: 'map', level: 'expert' }),
  ],
  outputs: [],
  cost_estimate: { monthly_min: 32.7, monthly_max: 2130, formula: '', items: {} },
  roles: { name: 'database_name', environment: 'environment', owner: 'team_owner', cost_center: 'cost_center' },
  presets: PRESETS.map(preset => ({ ...preset, monthly_cost: price(preset.parameters).monthly_cost })),
  implementations: ['local'],
  steps: [],
  tags: {},
  docs: 'https://docs.example.com/postgres',
  schema: {},
};

type Values = { environment: string; instance_class: string; storage_gb: number; backup_retention_days: number; multi_az: boolean };

function complete(parameters: Parameters): Values {
  const usual = { environment: 'dev', instance_class: 'db.t3.medium', storage_gb: 100, backup_retention_days: 7, multi_az: false };
  return { ...usual, ...parameters };
}

function price(parameters: Parameters) {
  const { instance_class: size, storage_gb: storage, backup_retention_days: days, multi_az: standby } = complete(parameters);
  const breakdown: Record<string, number> = { compute: SIZES[size], storage: storage * 0.115, backup: storage * days * 0.02 };
  const once = Object.values(breakdown).reduce((sum, cost) => sum + cost, 0);
  breakdown['multi-AZ'] = standby ? once : 0;
  const monthly = standby ? once * 2 : once;
  return {
    monthly_cost: monthly,
    monthly_total: monthly,
    annual_cost: monthly * 12,
    annual_total: monthly * 12,
    items: Object.entries(breakdown).map(([name, monthly_cost]) => ({ name, monthly_cost })),
    breakdown,
    prices_digest: 'sha256:0',
    recommendations: standby && complete(parameters).environment === 'dev' ? ['A standby is seldom needed in dev.'] : [],
  };
}

function overBy(parameters: Parameters): number {
  return price(parameters).monthly_cost - LIMITS[complete(parameters).environment];
}

function alternatives(parameters: Parameters): Alternative[] {
  const values = complete(parameters);
  const found: Alternative[] = [];
  const consider = (changes: Parameters, text: string) => {
    if (overBy({ ...parameters, ...changes }) <= 0) {
      found.push({ changes, text, monthly_cost: price({ ...parameters, ...changes }).monthly_cost });
    }
  };
  if (values.multi_az) {
    consider({ multi_az: false }, 'turn off multi-AZ');
  }
  for (let storage = values.storage_gb - 1; storage >= 20 && found.length < 2; storage--) {
    consider({ storage_gb: storage }, `storage ${values.storage_gb} → ${storage} GB`);
  }
  consider({ instance_class: 'db.t3.small' }, 'instance size small');
  return found.slice(0, 3);
}

function advise(parameters: Parameters): Verdict['advice'] {
  const fits = (change: Parameters) => overBy({ ...parameters, ...change }) <= 0;
  const storages = Array.from({ length: 981 }, (_, index) => index + 20).filter(storage_gb => fits({ storage_gb }));
  const values = (name: string, all: unknown[]) => {
    const allowed = all.filter(value => fits({ [name]: value }));
    return { spans: [], values: allowed, whole: allowed.length === all.length };
  };
  return {
    ranges: {
      storage_gb: {
        spans: storages.length > 0 ? [{ min: storages[0], max: storages.at(-1)! }] : [],
        values: [],
        whole: storages.length === 981,
      },
      multi_az: values('multi_az', [false, true]),
      instance_class: values('instance_class', Object.keys(SIZES)),
    },
    alternatives: overBy(parameters) > 0 ? alternatives(parameters) : [],
    presets: PRESETS.map(preset => ({
      ...preset,
      monthly_cost: price({ ...parameters, ...preset.parameters }).monthly_cost,
      allowed: fits(preset.parameters),
    })),
  };
}

/** judge answers an evaluation. */
export function judge({ parameters, advise: wantsAdvice }: EvaluationInput): Verdict {
  const { environment } = complete(parameters);
  const estimate = price(parameters);
  const over = overBy(parameters);
  const money = (amount: number) => `$${amount.toFixed(2)}`;
  const finding: Finding = {
    rule: 'cost_limit',
    level: 'deny',
    message: `Estimated cost ${money(estimate.monthly_cost)}/month exceeds limit $${LIMITS[environment]}/month for ${environment}.`,
    path: '',
    way_out: 'Please request approval from #platform-team.',
  };
  return {
    allowed: over <= 0,
    outcome: over <= 0 ? 'allow' : 'deny',
    estimate,
    findings: over <= 0 ? [] : [finding],
    allowance: { limit: LIMITS[environment], left: -over, scope: environment },
    recommendations: estimate.recommendations,
    bundle_digest: 'sha256:0',
    at: new Date().toISOString(),
    ...(wantsAdvice && { advice: advise(parameters) }),
  };
}
