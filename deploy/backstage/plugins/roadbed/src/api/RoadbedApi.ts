import { createApiRef } from '@backstage/frontend-plugin-api';
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
  Evaluation,
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
  RequestState,
  UnusedAnswer,
  UnusedList,
  Verdict,
} from './types';
import type { ServerEvent } from './serverEvents';

/** Which requests to list. `owner` is an entity ref; what is left out does not narrow. */
export type RequestFilter = {
  mine?: boolean;
  owner?: string;
  state?: RequestState[];
  offering?: string;
  environment?: string;
  cursor?: string;
};

/** Which instances to list. */
export type InstanceFilter = { owner?: string; offering?: string; environment?: string; cursor?: string };

/** What to judge; `partial` while the form is being filled in, `advise` for what would be allowed instead. */
export type EvaluationInput = Pick<Evaluation, 'parameters'> & Partial<Evaluation>;

/** Where a stream begins, when it is given up, and who is told that it is open. */
export type StreamOptions = { after?: string; signal: AbortSignal; onOpen?(): void };

/**
 * RoadbedApi is what the pages ask of the sidecar. Every method rejects with a ResponseError whose `body.error` says,
 * for people, what is wrong; explainError reads it.
 */
export interface RoadbedApi {
  listRequests(filter: RequestFilter): Promise<Page<InfrastructureRequest>>;
  getRequest(id: string): Promise<InfrastructureRequest>;
  /** cancelRequest asks for a stop; the answer may still be running, with its cancel reason set. */
  cancelRequest(id: string, key: string): Promise<InfrastructureRequest>;
  /** retryRequest asks anew for what did not come about; it goes on from what was made. */
  retryRequest(id: string, key: string): Promise<InfrastructureRequest>;
  /** approveRequest gives one's approval; the reason may be empty. Given twice it counts once. */
  approveRequest(id: string, reason: string, key: string): Promise<InfrastructureRequest>;
  /** rejectRequest denies what waits for one's approval; the reason is what the requester reads. */
  rejectRequest(id: string, reason: string, key: string): Promise<InfrastructureRequest>;
  /** listApprovals is what waits for one's own approval, oldest first, at most 100. */
  listApprovals(): Promise<InfrastructureRequest[]>;
  /** openRequestEvents opens one connection; it ends after the request's last event, or when the network does. */
  openRequestEvents(id: string, options: StreamOptions): AsyncIterable<ServerEvent>;
  openRequestLog(id: string, options: StreamOptions): AsyncIterable<ServerEvent>;
  getLog(id: string, after: number): Promise<LogLine[]>;
  listInstances(filter: InstanceFilter): Promise<Page<Instance>>;
  getInstance(id: string): Promise<InstanceWithRequests>;
  /** evaluateChange gives what a change of an instance would be, cost and meet. Nothing is stored. */
  evaluateChange(id: string, evaluation: Partial<ChangeEvaluation>, signal?: AbortSignal): Promise<ChangePreview>;
  /** updateInstance asks for other parameters; null takes one back to its default. */
  updateInstance(id: string, parameters: Parameters, key: string): Promise<InfrastructureRequest>;
  /** upgradeInstance asks for the published version of its offering, and for the parameters that change besides. */
  upgradeInstance(id: string, parameters: Parameters, key: string): Promise<InfrastructureRequest>;
  /** destroyInstance submits a destroy request, with the name as it was typed. The same key never destroys twice. */
  destroyInstance(id: string, confirm: string, key: string): Promise<InfrastructureRequest>;
  /** getActivity is whether anybody uses an instance, as far as that is measured. */
  getActivity(id: string): Promise<Activity>;
  /** getDrift is how an instance differs from what was asked for. */
  getDrift(id: string): Promise<Drift>;
  /** checkDrift has an instance checked soon; the drift's checked_at rises when it was. */
  checkDrift(id: string): Promise<Drift>;
  /** answerDrift asks for what was asked for, or for what is there; the cause must still be the drift's. */
  answerDrift(id: string, answer: 'revert' | 'adopt', cause: string, key: string): Promise<InfrastructureRequest>;
  /** suppressDrift hides an instance's drift until a date. */
  suppressDrift(id: string, suppression: DriftSuppression): Promise<Drift>;
  /** listDrift is the causes of drift over all instances that one may see, the widest first. */
  listDrift(): Promise<DriftGroup[]>;
  /** listUnused is what nobody uses, by owner, the largest saving first; answered ones too. */
  listUnused(): Promise<UnusedList>;
  /** answerUnused keeps an unused instance from being told of until a date. */
  answerUnused(id: string, kind: 'snooze' | 'needed', answer: UnusedAnswer): Promise<void>;
  /** listPreviews is what lives for pull requests, the newest first. */
  listPreviews(): Promise<EphemeralEnvironment[]>;
  /** extendPreview asks for each part of a preview to live longer, as extendInstance does. It rejects when none was accepted. */
  extendPreview(id: string, by: string, key: string): Promise<PreviewOutcome[]>;
  /** deletePreview asks for the end of each part of a preview. It rejects when none was accepted. */
  deletePreview(id: string, key: string): Promise<PreviewOutcome[]>;
  /** rotateCredentials asks for new credentials; the old ones are void once it has been applied. */
  rotateCredentials(id: string, key: string): Promise<InfrastructureRequest>;
  /** handOver asks for another team, by name or entity ref, to own an instance. */
  handOver(id: string, handOver: HandOver, key: string): Promise<InfrastructureRequest>;
  /** extendInstance asks for an instance to live longer by "90m", "24h" or "7d". */
  extendInstance(id: string, by: string, key: string): Promise<InfrastructureRequest>;
  /** openCredentials is recorded by the sidecar each time it is called. */
  openCredentials(id: string): Promise<Credentials>;
  listOfferings(): Promise<Offering[]>;
  getOffering(id: string): Promise<Offering>;
  /** evaluate gives the price and what policy says of parameters. Nothing is stored. */
  evaluate(offering: string, evaluation: EvaluationInput, signal?: AbortSignal): Promise<Verdict>;
  listEnvironments(): Promise<Environment[]>;
  /** listBudgets is the budgets that one may see, by kind and name; none where nothing has a budget. */
  listBudgets(): Promise<Budget[]>;
  /** listCampaigns is the campaigns that one may see something of, the newest first, without groups and members. */
  listCampaigns(): Promise<CampaignList>;
  getCampaign(id: string): Promise<Campaign>;
  /** makeCampaign has the upgrade of every instance that is not of a version planned. */
  makeCampaign(ask: CampaignAsk, key: string): Promise<Campaign>;
  /** approveGroup lets plans of a shape be applied; what loses something is confirmed by what the group says. */
  approveGroup(id: string, shape: string, approval: { confirm: string; reason: string }): Promise<Campaign>;
  moveCampaign(id: string, move: 'start' | 'halt' | 'resume' | 'stop', reason: string): Promise<Campaign>;
  /** optOut keeps what a team owns as it is until a time. */
  optOut(id: string, answer: CampaignOptOut): Promise<Campaign>;
  /** listPauses is what is paused now, oldest first. */
  listPauses(): Promise<Pause[]>;
  /** beginPause is the platform team's: what is asked for meanwhile is accepted and waits. */
  beginPause(pause: PauseStart, key: string): Promise<void>;
  /** endPause lets go on what the pause held. It may be repeated. */
  endPause(id: string): Promise<void>;
  listExemptions(): Promise<Exemption[]>;
  /** listCalendar is the freezes and the windows of the next 30 days, by time. */
  listCalendar(): Promise<CalendarEntry[]>;
  getMe(): Promise<Me>;
  /** getMeasures is how the platform fares over the last days, today included. */
  getMeasures(days: number): Promise<Measures>;
}

export const roadbedApiRef = createApiRef<RoadbedApi>({ id: 'plugin.roadbed.client' });
