import { ResponseError } from '@backstage/errors';
import type { FetchApi } from '@backstage/frontend-plugin-api';
import type { EvaluationInput, InstanceFilter, RequestFilter, RoadbedApi, StreamOptions } from './RoadbedApi';
import { readServerEvents, type ServerEvent } from './serverEvents';
import type {
  Budget,
  Campaign,
  CampaignAsk,
  CampaignList,
  CampaignOptOut,
  CalendarEntry,
  ChangeEvaluation,
  ChangePreview,
  Credentials,
  Activity,
  Drift,
  DriftGroup,
  DriftSuppression,
  Environment,
  EphemeralEnvironment,
  Exemption,
  HandOver,
  InfrastructureRequest,
  Instance,
  InstanceWithRequests,
  LogLine,
  Me,
  Measures,
  Offering,
  Page,
  Parameters,
  Pause,
  PauseStart,
  PreviewOutcome,
  UnusedAnswer,
  UnusedList,
  Verdict,
} from './types';

const PAGE_SIZE = 25;
const JSON_HEADERS = { Accept: 'application/json', 'Content-Type': 'application/json' };

/** RoadbedClient talks to the sidecar through the portal's fetch, which finds it and signs the calls. */
export class RoadbedClient implements RoadbedApi {
  private readonly fetchApi: FetchApi;

  constructor(options: { fetchApi: FetchApi }) {
    this.fetchApi = options.fetchApi;
  }

  async listRequests(filter: RequestFilter): Promise<Page<InfrastructureRequest>> {
    return this.getJson(`/requests?${query({ ...filter, limit: `${PAGE_SIZE}` })}`);
  }

  async getRequest(id: string): Promise<InfrastructureRequest> {
    const body = await this.getJson<{ request: InfrastructureRequest }>(`/requests/${encodeURIComponent(id)}`);
    return body.request;
  }

  async cancelRequest(id: string, key: string): Promise<InfrastructureRequest> {
    const body = await this.post<{ request: InfrastructureRequest }>(`/requests/${encodeURIComponent(id)}/cancel`, key);
    return body.request;
  }

  async retryRequest(id: string, key: string): Promise<InfrastructureRequest> {
    return (await this.post<{ request: InfrastructureRequest }>(`/requests/${encodeURIComponent(id)}/retry`, key)).request;
  }

  async approveRequest(id: string, reason: string, key: string): Promise<InfrastructureRequest> {
    const path = `/requests/${encodeURIComponent(id)}/approve`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key, reason ? { reason } : {})).request;
  }

  async rejectRequest(id: string, reason: string, key: string): Promise<InfrastructureRequest> {
    const path = `/requests/${encodeURIComponent(id)}/reject`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key, { reason })).request;
  }

  async listApprovals(): Promise<InfrastructureRequest[]> {
    return (await this.getJson<Page<InfrastructureRequest>>('/approvals')).items;
  }

  openRequestEvents(id: string, options: StreamOptions): AsyncIterable<ServerEvent> {
    return this.stream(`/requests/${encodeURIComponent(id)}/events`, options);
  }

  openRequestLog(id: string, options: StreamOptions): AsyncIterable<ServerEvent> {
    return this.stream(`/requests/${encodeURIComponent(id)}/logs`, options);
  }

  async getLog(id: string, after: number): Promise<LogLine[]> {
    const body = await this.getJson<{ items: LogLine[] }>(`/requests/${encodeURIComponent(id)}/logs?after=${after}`);
    return body.items;
  }

  async listInstances(filter: InstanceFilter): Promise<Page<Instance>> {
    return this.getJson(`/instances?${query({ ...filter, limit: `${PAGE_SIZE}` })}`);
  }

  async getMeasures(days: number): Promise<Measures> {
    return this.getJson(`/measures?days=${days}`);
  }

  async getInstance(id: string): Promise<InstanceWithRequests> {
    return this.getJson(`/instances/${encodeURIComponent(id)}`);
  }

  async evaluateChange(id: string, evaluation: Partial<ChangeEvaluation>, signal?: AbortSignal): Promise<ChangePreview> {
    return this.judge(`/instances/${encodeURIComponent(id)}/evaluate`, evaluation, signal);
  }

  async updateInstance(id: string, parameters: Parameters, key: string): Promise<InfrastructureRequest> {
    const path = `/instances/${encodeURIComponent(id)}/update`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key, { parameters })).request;
  }

  async upgradeInstance(id: string, parameters: Parameters, key: string): Promise<InfrastructureRequest> {
    const path = `/instances/${encodeURIComponent(id)}/upgrade`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key, { parameters })).request;
  }

  async destroyInstance(id: string, confirm: string, key: string): Promise<InfrastructureRequest> {
    const path = `/instances/${encodeURIComponent(id)}/destroy`;
    const body = await this.post<{ request: InfrastructureRequest }>(path, key, { confirm });
    return body.request;
  }

  async getActivity(id: string): Promise<Activity> {
    return this.getJson(`/instances/${encodeURIComponent(id)}/activity`);
  }

  async getDrift(id: string): Promise<Drift> {
    return this.getJson(`/instances/${encodeURIComponent(id)}/drift`);
  }

  async checkDrift(id: string): Promise<Drift> {
    return this.post(`/instances/${encodeURIComponent(id)}/drift/check`);
  }

  async answerDrift(id: string, answer: 'revert' | 'adopt', cause: string, key: string): Promise<InfrastructureRequest> {
    const path = `/instances/${encodeURIComponent(id)}/drift/${answer}`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key, { cause })).request;
  }

  async suppressDrift(id: string, suppression: DriftSuppression): Promise<Drift> {
    return this.post(`/instances/${encodeURIComponent(id)}/drift/suppress`, undefined, suppression);
  }

  async listDrift(): Promise<DriftGroup[]> {
    return (await this.getJson<{ items: DriftGroup[] }>('/drift')).items;
  }

  async listUnused(): Promise<UnusedList> {
    return this.getJson('/unused?answered=true');
  }

  async answerUnused(id: string, kind: 'snooze' | 'needed', answer: UnusedAnswer): Promise<void> {
    await this.post(`/instances/${encodeURIComponent(id)}/unused/${kind}`, undefined, answer);
  }

  async listPreviews(): Promise<EphemeralEnvironment[]> {
    return (await this.getJson<{ items: EphemeralEnvironment[] }>('/previews')).items;
  }

  async extendPreview(id: string, by: string, key: string): Promise<PreviewOutcome[]> {
    return (await this.post<{ items: PreviewOutcome[] }>(`/previews/${encodeURIComponent(id)}/extend`, key, { by })).items;
  }

  async deletePreview(id: string, key: string): Promise<PreviewOutcome[]> {
    const headers = { Accept: 'application/json', 'Idempotency-Key': key };
    const response = await this.call(`/previews/${encodeURIComponent(id)}`, { method: 'DELETE', headers });
    return ((await response.json()) as { items: PreviewOutcome[] }).items;
  }

  async rotateCredentials(id: string, key: string): Promise<InfrastructureRequest> {
    const path = `/instances/${encodeURIComponent(id)}/rotate`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key)).request;
  }

  async handOver(id: string, handOver: HandOver, key: string): Promise<InfrastructureRequest> {
    const path = `/instances/${encodeURIComponent(id)}/hand-over`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key, handOver)).request;
  }

  async extendInstance(id: string, by: string, key: string): Promise<InfrastructureRequest> {
    const path = `/instances/${encodeURIComponent(id)}/extend`;
    return (await this.post<{ request: InfrastructureRequest }>(path, key, { by })).request;
  }

  async openCredentials(id: string): Promise<Credentials> {
    const body = await this.post<{ credentials: Credentials }>(`/instances/${encodeURIComponent(id)}/credentials`);
    return body.credentials;
  }

  async listOfferings(): Promise<Offering[]> {
    return (await this.getJson<{ items: Offering[] }>('/offerings')).items;
  }

  async getOffering(id: string): Promise<Offering> {
    return this.getJson(`/offerings/${encodeURIComponent(id)}`);
  }

  async evaluate(offering: string, evaluation: EvaluationInput, signal?: AbortSignal): Promise<Verdict> {
    return this.judge(`/offerings/${encodeURIComponent(offering)}/evaluate`, evaluation, signal);
  }

  async listEnvironments(): Promise<Environment[]> {
    return (await this.getJson<{ items: Environment[] }>('/environments')).items;
  }

  async listBudgets(): Promise<Budget[]> {
    return (await this.getJson<{ items: Budget[] }>('/budgets')).items;
  }

  async listCampaigns(): Promise<CampaignList> {
    return this.getJson('/campaigns');
  }

  async getCampaign(id: string): Promise<Campaign> {
    return this.getJson(`/campaigns/${encodeURIComponent(id)}`);
  }

  async makeCampaign(ask: CampaignAsk, key: string): Promise<Campaign> {
    return this.post('/campaigns', key, ask);
  }

  async approveGroup(id: string, shape: string, approval: { confirm: string; reason: string }): Promise<Campaign> {
    return this.post(`/campaigns/${encodeURIComponent(id)}/groups/${encodeURIComponent(shape)}/approve`, undefined, approval);
  }

  async moveCampaign(id: string, move: 'start' | 'halt' | 'resume' | 'stop', reason: string): Promise<Campaign> {
    return this.post(`/campaigns/${encodeURIComponent(id)}/${move}`, undefined, { reason });
  }

  async optOut(id: string, answer: CampaignOptOut): Promise<Campaign> {
    return this.post(`/campaigns/${encodeURIComponent(id)}/opt-out`, undefined, answer);
  }

  async listPauses(): Promise<Pause[]> {
    return (await this.getJson<{ items: Pause[] }>('/pauses')).items;
  }

  async beginPause(pause: PauseStart, key: string): Promise<void> {
    await this.post('/pauses', key, pause);
  }

  async endPause(id: string): Promise<void> {
    await this.call(`/pauses/${encodeURIComponent(id)}`, { method: 'DELETE' });
  }

  async listExemptions(): Promise<Exemption[]> {
    return (await this.getJson<{ items: Exemption[] }>('/exemptions')).items;
  }

  async listCalendar(): Promise<CalendarEntry[]> {
    return (await this.getJson<{ items: CalendarEntry[] }>('/calendar')).items;
  }

  async getMe(): Promise<Me> {
    return this.getJson('/me');
  }

  private async judge<T>(path: string, evaluation: object, signal?: AbortSignal): Promise<T> {
    return (await this.call(path, { method: 'POST', headers: JSON_HEADERS, body: JSON.stringify(evaluation), signal })).json();
  }

  private async getJson<T>(path: string): Promise<T> {
    return (await this.call(path, { headers: { Accept: 'application/json' } })).json();
  }

  private async post<T>(path: string, idempotencyKey?: string, body: object = {}): Promise<T> {
    const headers: Record<string, string> = { ...JSON_HEADERS };
    if (idempotencyKey) {
      headers['Idempotency-Key'] = idempotencyKey;
    }
    return (await this.call(path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
  }

  private async *stream(path: string, { after, signal, onOpen }: StreamOptions): AsyncGenerator<ServerEvent> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (after) {
      headers['Last-Event-ID'] = after;
    }
    const response = await this.call(path, { headers, signal, cache: 'no-store' });
    onOpen?.();
    if (response.body) {
      yield* readServerEvents(response.body, after);
    }
  }

  private async call(path: string, init: RequestInit): Promise<Response> {
    const response = await this.fetchApi.fetch(`plugin://roadbed${path}`, init);
    if (!response.ok) {
      throw await ResponseError.fromResponse(response);
    }
    return response;
  }
}

function query(values: Record<string, string | string[] | boolean | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value && String(value)) {
      parameters.set(name, String(value));
    }
  }
  return parameters.toString();
}
