import { useRouteRef } from '@backstage/frontend-plugin-api';
import { ButtonLink, Link, Skeleton, Text } from '@backstage/ui';
import { RiArrowLeftLine } from '@remixicon/react';
import type { InfrastructureRequest } from '../api/types';
import { formatMonthly } from '../format';
import { useCatalogEntry } from '../hooks/useCatalogEntry';
import { useLiveRequest } from '../hooks/useLiveRequest';
import { requestsRouteRef } from '../routes';
import { actionSentence, hasEnded } from '../words';
import { Given } from './ApprovalNotice';
import { Asked } from './Asked';
import { CostPanel } from './CostPanel';
import { Facts, type Fact } from './Facts';
import { Findings } from './Findings';
import { Panel } from './Panel';
import { PanelSkeleton } from './PanelSkeleton';
import { Problem } from './Problem';
import { RequestPanel } from './RequestPanel';
import { Who } from './Who';
import classes from './Page.module.css';

/** RequestPage is one request at its own address: what was asked, what it costs, what policy said and how it goes. */
export function RequestPage({ id }: { id: string }) {
  const list = useRouteRef(requestsRouteRef)?.();
  const load = useLiveRequest(id);
  const { loaded, reload } = load;
  return (
    <div className={classes.page}>
      {list && (
        <Link href={list} className={classes.back}>
          <RiArrowLeftLine size={16} aria-hidden="true" /> All requests
        </Link>
      )}
      {loaded.status === 'loading' && <RequestSkeleton />}
      {loaded.status === 'error' && <Problem what={`request ${id}`} error={loaded.error} onRetry={reload} />}
      {loaded.status === 'data' && (
        <>
          <Heading request={loaded.data} />
          <div className={classes.columns}>
            <div className={classes.column}>
              <RequestPanel
                title="Now"
                request={loaded.data}
                load={load}
              />
              <Policy request={loaded.data} />
            </div>
            <div className={classes.column}>
              <Asked request={loaded.data} />
              {loaded.data.action !== 'destroy' && <CostPanel estimate={loaded.data.estimate ?? undefined} />}
            </div>
          </div>
        </>
      )}
    </div>
  );
}

function Heading({ request }: { request: InfrastructureRequest }) {
  const facts: Fact[] = [
    { name: 'Owner', value: <Who entityRef={request.owner} /> },
    { name: 'Version', value: request.offering_version },
  ];
  if (request.action !== 'destroy') {
    facts.push({ name: 'Cost', value: formatMonthly(request.monthly_cost) });
  }
  return (
    <header className={classes.heading}>
      <div className={classes.what}>
        <div className={classes.title}>
          <Text as="h2" variant="title-small" weight="bold">
            {actionSentence(request)}
          </Text>
          <Text variant="body-large" color="secondary">
            {request.offering_name} · {request.environment}
          </Text>
        </div>
        <Facts row facts={facts} />
      </div>
      <EntryLink request={request} />
    </header>
  );
}

function EntryLink({ request }: { request: InfrastructureRequest }) {
  // What never began has no entry, and what is destroyed has lost it; a name alone may be another instance's.
  const gone = request.action === 'destroy' && request.state === 'succeeded';
  const has = request.instance_id !== null && request.state !== 'denied' && !gone;
  const entry = useCatalogEntry(has ? request.entity_ref : undefined, !hasEnded(request.state) || request.state === 'succeeded');
  if (entry.status === 'present') {
    return (
      <ButtonLink href={entry.href} variant="secondary">
        Open {request.name}
      </ButtonLink>
    );
  }
  return entry.status === 'looking' && has ? (
    <Text variant="body-medium" color="secondary" className={classes.soon}>
      Its page in the catalog opens in a moment
    </Text>
  ) : null;
}

function Policy({ request }: { request: InfrastructureRequest }) {
  const denied = request.state === 'denied';
  // Why it is denied, or waits, is told in full above; here is what else the rules had to say.
  const told = denied ? ['deny', 'require_approval'] : request.state === 'awaiting_approval' ? ['require_approval'] : [];
  const rest = request.findings.filter(finding => !told.includes(finding.level));
  if (denied && rest.length === 0) {
    return null;
  }
  return (
    <Panel title="Policy">
      <Text as="p" variant="body-medium" className={classes.line}>
        {denied ? 'The rules also noted:' : verdictSentence(request)}
      </Text>
      {rest.length > 0 && <Findings findings={rest} />}
      {request.state !== 'awaiting_approval' && <Given approval={request.approval} />}
    </Panel>
  );
}

function verdictSentence(request: InfrastructureRequest): string {
  switch (request.outcome) {
    case 'allow':
      return `Allowed in ${request.environment}.`;
    case 'warn':
      return `Allowed in ${request.environment}, with something to keep in mind.`;
    case 'require_approval':
      return request.approval?.granted
        ? `Allowed in ${request.environment}, since it has been approved.`
        : `Allowed in ${request.environment} once it is approved.`;
    default:
      return `Not allowed in ${request.environment}.`;
  }
}

function RequestSkeleton() {
  return (
    <div role="status" aria-label="Loading the request" className={classes.page}>
      <div className={classes.what}>
        <Skeleton width="min(20rem, 80%)" height={28} />
        <Skeleton width="min(26rem, 95%)" height={18} />
      </div>
      <div className={classes.columns}>
        <div className={classes.column}>
          <PanelSkeleton title="Now" lines={6} />
        </div>
        <div className={classes.column}>
          <PanelSkeleton title="Asked for" lines={6} />
          <PanelSkeleton title="Cost" lines={4} />
        </div>
      </div>
    </div>
  );
}
