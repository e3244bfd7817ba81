import { Fragment, useEffect, useRef, useState, type ReactNode, type RefObject } from 'react';
import { useApi, useRouteRef } from '@backstage/frontend-plugin-api';
import { useEntity } from '@backstage/plugin-catalog-react';
import { Button, ButtonLink, Skeleton, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest, Instance, InstanceWithRequests } from '../api/types';
import { sayLeft } from '../budgets';
import { formatExact, formatMonthly, formatSince } from '../format';
import { useLiveRequest } from '../hooks/useLiveRequest';
import { useLoad } from '../hooks/useLoad';
import { changeRouteRef } from '../routes';
import { isGone } from '../words';
import { ConnectPanel } from './ConnectPanel';
import { CostPanel } from './CostPanel';
import { DestroyDialog } from './DestroyDialog';
import { CreateButton, Empty } from './Empty';
import { DriftPanel } from './DriftPanel';
import { ExtendDialog } from './ExtendDialog';
import { Facts, type Fact } from './Facts';
import { HandOverDialog } from './HandOverDialog';
import { History } from './History';
import { LastUsed } from './LastUsed';
import { InstanceMenu, type InstanceAsk } from './InstanceMenu';
import { Deadline, Moment } from './Moment';
import { PanelSkeleton } from './PanelSkeleton';
import { Problem } from './Problem';
import { RequestPanel } from './RequestPanel';
import { RotateDialog } from './RotateDialog';
import { InstanceBadge } from './StateBadge';
import { Who } from './Who';
import classes from './StatusTab.module.css';

/** Somebody else may ask for something while this tab is open. */
const LOOK_AGAIN_MS = 30_000;
const WHY_NOT_ID = 'roadbed-why-no-change';

/** StatusTab is an instance as its owners see it, on its page in the catalog. */
export function StatusTab() {
  const { entity } = useEntity();
  const instanceId = entity.metadata.annotations?.['roadbed.dev/instance'] ?? '';
  const api = useApi(roadbedApiRef);
  const { loaded, reload } = useLoad(instanceId, () => api.getInstance(instanceId));

  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [reload]);

  switch (loaded.status) {
    case 'loading':
      return <StatusSkeleton />;
    case 'error':
      return (
        <div className={classes.tab}>
          <Problem
            what={`the status of ${entity.metadata.title ?? entity.metadata.name}`}
            error={loaded.error}
            onRetry={reload}
          />
        </div>
      );
    default:
      return <Status found={loaded.data} stale={loaded.stale} onChange={reload} />;
  }
}

function Status(props: { found: InstanceWithRequests; stale: unknown; onChange(): void }) {
  const { instance, requests } = props.found;
  const api = useApi(roadbedApiRef);
  const offering = useLoad(instance.offering, () => api.getOffering(instance.offering)).loaded;
  const published = offering.status === 'data' ? offering.data : undefined;
  const newest = requests.at(0);
  const [asking, setAsking] = useState<InstanceAsk>();
  const actions = useRef<HTMLButtonElement>(null);
  const gone = isGone(instance.state);
  const rotates = published?.rotates ?? false;
  const dialog = (ask: InstanceAsk) => ({
    instance,
    focusAfter: actions,
    open: asking === ask,
    onOpenChange: (open: boolean) => setAsking(open ? ask : undefined),
    onAsked: props.onChange,
  });
  const priced = requests.find(request => request.action !== 'destroy' && request.estimate)?.estimate;
  return (
    <div className={classes.tab}>
      <Heading instance={instance} actions={actions} rotates={rotates} onAsk={setAsking} />
      <RotateDialog {...dialog('rotate')} />
      <HandOverDialog {...dialog('hand_over')} rotates={rotates} />
      <ExtendDialog {...dialog('extend')} />
      <DestroyDialog {...dialog('destroy')} />
      {props.stale !== undefined && <Problem what="the newest status" error={props.stale} onRetry={props.onChange} />}
      <div className={classes.columns}>
        <div className={classes.column}>
          {newest ? (
            <Now
              key={newest.id}
              requestId={newest.id}
              onChange={props.onChange}
              whenFailed={
                instance.state === 'incomplete' && (
                  <Button size="small" variant="secondary" onPress={() => setAsking('destroy')}>
                    Destroy what was made
                  </Button>
                )
              }
            />
          ) : (
            <Empty level={3} title="Nothing has been asked for" action={<CreateButton />}>
              Requests for {instance.name}, and how they fare, would be here.
            </Empty>
          )}
          {requests.length > 0 && <History requests={requests} />}
        </div>
        <div className={classes.column}>
          {/* What a change has made new is not to be read from before it. */}
          <ConnectPanel key={`${instance.id} ${instance.generation}`} instance={instance} docs={published?.docs} />
          {!gone && instance.state !== 'reserved' && <DriftPanel key={`drift ${instance.id}`} instance={instance} />}
          {!gone && <CostPanel estimate={priced ?? undefined} />}
        </div>
      </div>
    </div>
  );
}

function Heading(props: {
  instance: Instance;
  actions: RefObject<HTMLButtonElement>;
  rotates: boolean;
  onAsk(ask: InstanceAsk): void;
}) {
  const { instance, rotates, onAsk } = props;
  const since = new Date(instance.updated_at);
  const budgets = instance.budgets ?? [];
  return (
    <header className={classes.heading}>
      <div className={classes.what}>
        <div className={classes.title}>
          <Text as="h2" variant="title-x-small" weight="bold">
            {instance.name}
          </Text>
          <Text variant="body-large" color="secondary">
            {instance.offering_name} · {instance.environment}
          </Text>
          <InstanceBadge state={instance.state} />
          <Text variant="body-medium" color="secondary">
            <time dateTime={instance.updated_at} title={formatExact(since)}>
              since {formatSince(since, new Date())}
            </time>
          </Text>
        </div>
        <Facts
          row
          facts={[
            { name: 'Owner', value: <Who entityRef={instance.owner} /> },
            {
              name: 'Version',
              value: instance.available_version
                ? `${instance.offering_version} (${instance.available_version} available)`
                : instance.offering_version,
            },
            { name: 'Cost', value: isGone(instance.state) ? 'none any more' : formatMonthly(instance.monthly_cost) },
            ...(budgets.length === 0 || isGone(instance.state) ? [] : [{ name: 'Budget left', value: sayLeft(budgets) }]),
            ...(isGone(instance.state) || instance.state === 'reserved' ? [] : [{ name: 'Last used', value: <LastUsed instance={instance} /> }]),
            ...takenBy(instance),
            ...(instance.expires_at && !isGone(instance.state) ? [endOf(instance.expires_at, instance.destroy_at)] : []),
          ]}
        />
        {!isGone(instance.state) && instance.changes_allowed && (
          <Text as="p" id={WHY_NOT_ID} variant="body-small" color="secondary" className={classes.line}>
            No change now: {instance.changes_allowed}.
          </Text>
        )}
      </div>
      <div className={classes.actions}>
        <ChangeButton instance={instance} />
        <InstanceMenu instance={instance} buttonRef={props.actions} rotates={rotates} onAsk={onAsk} />
      </div>
    </header>
  );
}

/** What it takes outputs from, and who takes some of it. */
function takenBy({ links = [], dependants = [] }: Instance): Fact[] {
  const facts = [
    { name: 'Takes from', refs: links.map(link => link.entity_ref) },
    { name: 'Taken by', refs: dependants.map(dependant => dependant.entity_ref) },
  ];
  return facts
    .filter(({ refs }) => refs.length > 0)
    .map(({ name, refs }) => ({
      name,
      value: [...new Set(refs)].map((entityRef, index) => (
        <Fragment key={entityRef}>
          {index > 0 && ', '}
          <Who entityRef={entityRef} />
        </Fragment>
      )),
    }));
}

/** Once it has ended it is kept for a while, in which it can still be extended. */
function endOf(expiresAt: string, destroyAt?: string): Fact {
  if (new Date(expiresAt) > new Date()) {
    return { name: 'Ends', value: <Deadline at={expiresAt} /> };
  }
  return {
    name: 'Ended',
    value: (
      <>
        <Moment at={expiresAt} />
        {destroyAt && (
          <>
            , to be destroyed <Deadline at={destroyAt} />
          </>
        )}
      </>
    ),
  };
}

function ChangeButton({ instance }: { instance: Instance }) {
  const change = useRouteRef(changeRouteRef)?.({ id: instance.id });
  if (!change || isGone(instance.state)) {
    return null;
  }
  if (instance.changes_allowed) {
    return (
      <Button variant="secondary" isDisabled aria-describedby={WHY_NOT_ID}>
        Change
      </Button>
    );
  }
  return (
    <ButtonLink href={change} variant="secondary">
      Change
    </ButtonLink>
  );
}

function Now(props: { requestId: string; onChange(): void; whenFailed: ReactNode }) {
  const load = useLiveRequest(props.requestId);
  const { loaded, reload } = load;
  const request: InfrastructureRequest | undefined = loaded.status === 'data' ? loaded.data : undefined;

  // The instance changes with its request: it is looked at again whenever the request has moved on.
  const state = request?.state;
  const seen = useRef(state);
  const { onChange } = props;
  useEffect(() => {
    if (seen.current !== undefined && state !== undefined && seen.current !== state) {
      onChange();
    }
    seen.current = state ?? seen.current;
  }, [state, onChange]);

  if (loaded.status === 'loading') {
    return <PanelSkeleton title="Now" lines={6} />;
  }
  if (!request) {
    return <Problem what="the newest request" error={loaded.status === 'error' && loaded.error} onRetry={reload} />;
  }
  return <RequestPanel title="Now" request={request} load={load} whenFailed={props.whenFailed} />;
}

function StatusSkeleton() {
  return (
    <div className={classes.tab} role="status" aria-label="Loading the status">
      <div className={classes.skeletonHeading}>
        <Skeleton width="min(22rem, 80%)" height={28} />
        <Skeleton width="min(28rem, 95%)" height={18} />
      </div>
      <div className={classes.columns}>
        <div className={classes.column}>
          <PanelSkeleton title="Now" lines={6} />
        </div>
        <div className={classes.column}>
          <PanelSkeleton title="Connect" lines={5} />
          <PanelSkeleton title="Cost" lines={4} />
        </div>
      </div>
    </div>
  );
}
