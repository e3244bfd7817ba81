import { useApi } from '@backstage/frontend-plugin-api';
import { Button } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Instance } from '../api/types';
import { formatMonthly } from '../format';
import { useFilters } from '../hooks/useFilters';
import { useMe } from '../hooks/useMe';
import { usePages } from '../hooks/usePages';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { CreateButton, Empty } from './Empty';
import { EnvironmentFilter, Filter, FilterBar, OfferingFilter, teamChoices } from './FilterBar';
import { InstanceName } from './InstanceName';
import { ListFooter } from './ListFooter';
import { Moment } from './Moment';
import { Problem } from './Problem';
import { InstanceBadge } from './StateBadge';
import { Who } from './Who';
import classes from './List.module.css';

/** ResourcesPage is what lives: every instance that one may see, whose it is, how it fares and what it costs. */
export function ResourcesPage() {
  const api = useApi(roadbedApiRef);
  const me = useMe();
  const filters = useFilters(['owner', 'offering', 'environment']);
  const query = {
    owner: filters.get('owner') || undefined,
    offering: filters.get('offering') || undefined,
    environment: filters.get('environment') || undefined,
  };
  const { pages, reload, loadMore } = usePages(JSON.stringify(query), cursor => api.listInstances({ ...query, cursor }));

  return (
    <div className={classes.list}>
      <div className={classes.top}>
        <FilterBar filters={filters}>
          <Filter filters={filters} name="owner" label="Owner" any="All owners" choices={teamChoices(me)} />
          <OfferingFilter filters={filters} />
          <EnvironmentFilter filters={filters} />
        </FilterBar>
        <CreateButton variant="secondary" />
      </div>
      {pages.status === 'loading' && <TableSkeleton label="Loading the resources" columns={COLUMNS} />}
      {pages.status === 'error' && <Problem what="the resources" error={pages.error} onRetry={reload} />}
      {pages.status === 'data' && pages.rows.length === 0 && (
        <NoResources narrowed={filters.narrowed} onClear={filters.clear} />
      )}
      {pages.status === 'data' && pages.rows.length > 0 && (
        <>
          <DataTable label="Resources" columns={COLUMNS} rows={pages.rows} />
          <ListFooter
            pages={pages}
            one="resource"
            many="resources"
            extra={`${formatMonthly(sum(pages.rows))} together`}
            onMore={loadMore}
            onReload={reload}
          />
        </>
      )}
    </div>
  );
}

const COLUMNS: Column<Instance>[] = [
  {
    title: 'Name',
    cell: instance => (
      <InstanceName instance={instance}>
        {instance.offering_name} {instance.offering_version}
      </InstanceName>
    ),
  },
  { title: 'State', cell: instance => <InstanceBadge state={instance.state} /> },
  { title: 'Environment', cell: instance => instance.environment },
  { title: 'Owner', cell: instance => <Who entityRef={instance.owner} /> },
  { title: 'Made', cell: instance => <Moment at={instance.created_at} /> },
  { title: 'Cost', align: 'end', cell: instance => formatMonthly(instance.monthly_cost) },
];

function sum(instances: Instance[]): number {
  return instances.reduce((total, instance) => total + (instance.monthly_cost ?? 0), 0);
}

function NoResources({ narrowed, onClear }: { narrowed: boolean; onClear(): void }) {
  return narrowed ? (
    <Empty
      title="No resource matches"
      action={
        <Button variant="secondary" onPress={onClear}>
          Clear filters
        </Button>
      }
    >
      Nothing that you may see fits all of these filters.
    </Empty>
  ) : (
    <Empty title="Nothing is running yet" action={<CreateButton />}>
      Databases and the like that you and your teams own would be here, with their state and what they cost.
    </Empty>
  );
}
