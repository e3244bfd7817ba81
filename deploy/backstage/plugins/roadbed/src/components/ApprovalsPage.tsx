import { useEffect } from 'react';
import { useApi, useRouteRef } from '@backstage/frontend-plugin-api';
import { Container, Link, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest } from '../api/types';
import { formatMonthly } from '../format';
import { useLoad } from '../hooks/useLoad';
import { requestRouteRef } from '../routes';
import { actionSentence } from '../words';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Empty } from './Empty';
import { Deadline, Moment } from './Moment';
import { planSentence } from './Plan';
import { Problem } from './Problem';
import { Who } from './Who';
import classes from './List.module.css';

const LOOK_AGAIN_MS = 30_000;
/** How many the sidecar gives at most. */
const LIMIT = 100;

/** ApprovalsPage is what waits for one's own approval, the oldest first. */
export function ApprovalsPage() {
  const api = useApi(roadbedApiRef);
  const columns = useColumns();
  const { loaded, reload } = useLoad('approvals', () => api.listApprovals());
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [reload]);
  const rows = loaded.status === 'data' ? loaded.data : [];
  return (
    <main>
      <Container>
        <div className={classes.list}>
          {loaded.status === 'loading' && <TableSkeleton label="Loading the approvals" columns={columns} />}
          {loaded.status === 'error' && <Problem what="the approvals" error={loaded.error} onRetry={reload} />}
          {loaded.status === 'data' && loaded.stale !== undefined && (
            <Problem what="the newest approvals" error={loaded.stale} onRetry={reload} />
          )}
          {loaded.status === 'data' && rows.length === 0 && (
            <Empty title="Nothing waits for you">
              What needs your approval would be here, the oldest first: who asks for what, what it costs and why it needs you.
            </Empty>
          )}
          {rows.length > 0 && <DataTable label="Approvals" columns={columns} rows={rows} />}
          {rows.length >= LIMIT && (
            <Text as="p" variant="body-medium" color="secondary">
              These are the oldest {LIMIT}; the others follow as these are answered.
            </Text>
          )}
        </div>
      </Container>
    </main>
  );
}

function useColumns(): Column<InfrastructureRequest>[] {
  const requestRoute = useRouteRef(requestRouteRef);
  return [
    {
      title: 'Request',
      cell: request => (
        <span className={classes.name}>
          <Link href={requestRoute?.({ id: request.id }) ?? '#'} weight="bold">
            {actionSentence(request)}
          </Link>
          <Text variant="body-small" color="secondary">
            {request.offering_name} · {request.environment}
          </Text>
        </span>
      ),
    },
    {
      title: 'Asked',
      cell: request => (
        <span>
          <Moment at={request.created_at} /> by <Who entityRef={request.requested_by} /> for <Who entityRef={request.owner} />
        </span>
      ),
    },
    { title: 'Why', cell: request => <span className={classes.name}>{reasons(request)}</span> },
    { title: 'Plan', cell: request => (request.approval?.plan ? planSentence(request.approval.plan) : 'not known yet') },
    {
      title: 'Until',
      cell: request => (request.approval?.expires_at ? <Deadline at={request.approval.expires_at} /> : 'no limit'),
    },
    {
      title: 'Cost',
      align: 'end',
      cell: request => (request.action === 'destroy' ? 'none' : formatMonthly(request.monthly_cost)),
    },
  ];
}

function reasons(request: InfrastructureRequest) {
  return request.findings
    .filter(({ level }) => level === 'require_approval')
    .map(({ rule, message }) => <span key={`${rule} ${message}`}>{message}</span>);
}
