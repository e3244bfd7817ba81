import { useApi, useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, Link, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest, RequestState } from '../api/types';
import { formatMonthly } from '../format';
import { useFilters } from '../hooks/useFilters';
import { useMe } from '../hooks/useMe';
import { usePages } from '../hooks/usePages';
import { requestRouteRef } from '../routes';
import { actionSentence, urgency } from '../words';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { CreateButton, Empty } from './Empty';
import { EnvironmentFilter, Filter, FilterBar, OfferingFilter, teamChoices } from './FilterBar';
import { ListFooter } from './ListFooter';
import { Moment } from './Moment';
import { PauseBanner } from './Pauses';
import { Problem } from './Problem';
import { RequestBadge } from './StateBadge';
import { Who } from './Who';
import classes from './List.module.css';

const STATES: { value: string; label: string; states: RequestState[] }[] = [
  { value: 'running', label: 'Running', states: ['planning', 'applying', 'lost'] },
  { value: 'waiting', label: 'Waiting', states: ['submitted', 'queued', 'awaiting_approval'] },
  { value: 'denied', label: 'Denied', states: ['denied'] },
  { value: 'failed', label: 'Failed', states: ['failed'] },
  { value: 'completed', label: 'Completed', states: ['succeeded'] },
  { value: 'cancelled', label: 'Cancelled', states: ['cancelled'] },
];

/** What the address says to see every request that one may see. */
const EVERYONE = 'all';

/** RequestList is what has been asked for: by oneself to begin with, by one's teams, or by all. */
export function RequestList() {
  const api = useApi(roadbedApiRef);
  const me = useMe();
  const filters = useFilters(['show', 'state', 'offering', 'environment']);
  const show = filters.get('show');
  const query = {
    mine: show === '' ? true : undefined,
    owner: show === '' || show === EVERYONE ? undefined : show,
    state: STATES.find(({ value }) => value === filters.get('state'))?.states,
    offering: filters.get('offering') || undefined,
    environment: filters.get('environment') || undefined,
  };
  const { pages, reload, loadMore } = usePages(
    JSON.stringify(query),
    cursor => api.listRequests({ ...query, cursor }),
    mostUrgentFirst,
  );
  const columns = useColumns(me?.subject);

  return (
    <div className={classes.list}>
      <PauseBanner />
      <div className={classes.top}>
        <FilterBar filters={filters}>
          <Filter
            filters={filters}
            name="show"
            label="Show"
            any="My requests"
            choices={[...teamChoices(me), { value: EVERYONE, label: 'All I may see' }]}
          />
          <Filter filters={filters} name="state" label="State" any="All states" choices={STATES} />
          <OfferingFilter filters={filters} />
          <EnvironmentFilter filters={filters} />
        </FilterBar>
        <CreateButton variant="secondary" />
      </div>
      {pages.status === 'loading' && <TableSkeleton label="Loading the requests" columns={columns} />}
      {pages.status === 'error' && <Problem what="the requests" error={pages.error} onRetry={reload} />}
      {pages.status === 'data' && pages.rows.length === 0 && (
        <NoRequests narrowed={filters.narrowed} onClear={filters.clear} />
      )}
      {pages.status === 'data' && pages.rows.length > 0 && (
        <>
          <DataTable label="Requests" columns={columns} rows={pages.rows} />
          <ListFooter pages={pages} one="request" many="requests" onMore={loadMore} onReload={reload} />
        </>
      )}
    </div>
  );
}

function useColumns(me: string | undefined): Column<InfrastructureRequest>[] {
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
            {request.offering_name}
          </Text>
        </span>
      ),
    },
    { title: 'State', cell: request => <RequestBadge state={request.state} /> },
    { title: 'Environment', cell: request => request.environment },
    { title: 'Owner', cell: request => <Who entityRef={request.owner} /> },
    {
      title: 'Asked',
      cell: request => (
        <span>
          <Moment at={request.created_at} /> by <Who entityRef={request.requested_by} me={me} />
        </span>
      ),
    },
    {
      title: 'Cost',
      align: 'end',
      cell: request => (request.action === 'destroy' ? 'none' : formatMonthly(request.monthly_cost)),
    },
  ];
}

function mostUrgentFirst(requests: InfrastructureRequest[]): InfrastructureRequest[] {
  return requests.toSorted((a, b) => urgency(a.state) - urgency(b.state) || b.created_at.localeCompare(a.created_at));
}

function NoRequests({ narrowed, onClear }: { narrowed: boolean; onClear(): void }) {
  return narrowed ? (
    <Empty
      title="No request matches"
      action={
        <Button variant="secondary" onPress={onClear}>
          Clear filters
        </Button>
      }
    >
      Nothing that you may see fits all of these filters.
    </Empty>
  ) : (
    <Empty title="You have not asked for anything yet" action={<CreateButton />}>
      What you ask for would be here, from the first second to the last: its price, what policy says, and each step.
    </Empty>
  );
}
