import { useApi } from '@backstage/frontend-plugin-api';
import { Container, Link, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { DriftGroup } from '../api/types';
import { formatMoney } from '../format';
import { useLoad } from '../hooks/useLoad';
import { useStatusRoute } from '../hooks/useStatusRoute';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Empty } from './Empty';
import { Moment } from './Moment';
import { Problem } from './Problem';
import classes from './List.module.css';

/** How many instances of one cause are named. */
const NAMED = 5;

type Row = DriftGroup & { id: string };

/** DriftPage is what is not as it was asked for, by its cause: one change to forty databases is one row. */
export function DriftPage() {
  const api = useApi(roadbedApiRef);
  const columns = useColumns();
  const { loaded, reload } = useLoad('drift', () => api.listDrift());
  const rows: Row[] = loaded.status === 'data' ? loaded.data.map(group => ({ ...group, id: group.cause })) : [];
  return (
    <main>
      <Container>
        <div className={classes.list}>
          {loaded.status === 'loading' && <TableSkeleton label="Loading the drift" columns={columns} />}
          {loaded.status === 'error' && <Problem what="the drift" error={loaded.error} onRetry={reload} />}
          {loaded.status === 'data' && rows.length === 0 && (
            <Empty title="No drift detected">
              What is not as it was asked for would be here, by its cause, with the resources that it is found on.
            </Empty>
          )}
          {rows.length > 0 && <DataTable label="Drift" columns={columns} rows={rows} />}
        </div>
      </Container>
    </main>
  );
}

function useColumns(): Column<Row>[] {
  const statusRoute = useStatusRoute();
  return [
    {
      title: 'Cause',
      cell: group => (
        <span className={classes.name}>
          <strong>{group.title}</strong>
          <Text variant="body-small" color="secondary">
            {group.offering_name}
          </Text>
        </span>
      ),
    },
    {
      title: 'Found on',
      cell: group => (
        <span className={classes.name}>
          {group.instances.slice(0, NAMED).map(found => (
            <Link key={found.id} href={statusRoute(found.entity_ref) ?? '#'}>
              {found.name} · {found.environment}
            </Link>
          ))}
          {group.instances.length > NAMED && <span>and {group.instances.length - NAMED} more</span>}
        </span>
      ),
    },
    { title: 'Since', cell: group => <Moment at={group.first_seen} /> },
    {
      title: 'To adopt it, a month',
      align: 'end',
      cell: group => sayDifference(group.monthly_difference),
    },
  ];
}

function sayDifference(difference: number | null | undefined): string {
  if (difference === null || difference === undefined) {
    return 'cannot be adopted';
  }
  return difference > 0 ? `+${formatMoney(difference)}` : formatMoney(difference);
}
