/** What the sidecar answers, named as in its OpenAPI file. */
export type RequestState =
  | 'submitted'
  | 'queued'
  | 'planning'
  | 'awaiting_approval'
  | 'applying'
  | 'lost'
  | 'succeeded'
  | 'failed'
  | 'denied'
  | 'cancelled';

export type InstanceState = 'reserved' | 'ready' | 'changing' | 'incomplete' | 'destroying' | 'destroyed' | 'released';

export type StepStatus = 'pending' | 'in_progress' | 'completed' | 'failed';

export type Step = {
  step: number;
  name: string;
  status: StepStatus;
  started_at?: string | null;
  finished_at?: string | null;
  duration_seconds?: number | null;
  details?: string;
};

export type Finding = { rule: string; level: string; message: string; path?: string; way_out?: string };

export type CostItem = { name: string; monthly_cost: number };

export type Estimate = { monthly_cost: number; annual_cost: number; items: CostItem[] };

export type Failure = {
  message: string;
  step?: number;
  steps?: number;
  name?: string;
  detail?: string;
  way_out?: string;
};

export type InfrastructureRequest = {
  id: string;
  action: string;
  offering: string;
  offering_name: string;
  offering_version: string;
  instance_id: string | null;
  entity_ref: string;
  environment: string;
  name: string;
  owner: string;
  cost_center: string;
  parameters: Record<string, unknown>;
  state: RequestState;
  status: string;
  waiting: string;
  requested_by: string;
  actor: string;
  task: string;
  monthly_cost: number | null;
  estimate: Estimate | null;
  outcome: string;
  findings: Finding[];
  cancel_reason: string;
  error: Failure | null;
  outputs: Record<string, unknown> | null;
  steps: Step[];
  sequence: number;
  generation: number;
  created_at: string;
  updated_at: string;
};

export type Instance = {
  id: string;
  short_id: string;
  offering: string;
  offering_name: string;
  offering_version: string;
  environment: string;
  name: string;
  owner: string;
  cost_center: string;
  state: InstanceState;
  generation: number;
  parameters: Record<string, unknown>;
  monthly_cost: number | null;
  outputs: Record<string, unknown> | null;
  request_id: string;
  entity_ref: string;
  created_at: string;
  updated_at: string;
};

export type InstanceWithRequests = { instance: Instance; requests: InfrastructureRequest[] };

export type Page<T> = { items: T[]; next: string };

export type Offering = { id: string; name: string; description: string; docs?: string };

export type Environment = { name: string; title: string };

export type Me = { subject: string; groups: string[]; platform_team: boolean };

export type Credentials = { [field: string]: unknown };

export type LogLine = { position: number; at: string; text: string };
