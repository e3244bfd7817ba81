import { useApi } from '@backstage/frontend-plugin-api';
import { Container, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Budget } from '../api/types';
import { formatLimit, formatMoney } from '../format';
import { useLoad } from '../hooks/useLoad';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Empty } from './Empty';
import { Problem } from './Problem';
import { Who } from './Who';
import list from './List.module.css';
import classes from './BudgetsPage.module.css';

/** BudgetsPage is what teams, cost centres and environments may spend a month, and what is taken of it. */
export function BudgetsPage() {
  const api = useApi(roadbedApiRef);
  const { loaded, reload } = useLoad('budgets', () => api.listBudgets());
  const rows = loaded.status === 'data' ? loaded.data.map(budget => ({ ...budget, id: `${budget.kind} ${budget.name}` })) : [];
  return (
    <main>
      <Container>
        <div className={list.list}>
          {loaded.status === 'loading' && <TableSkeleton label="Loading the budgets" columns={COLUMNS} />}
          {loaded.status === 'error' && <Problem what="the budgets" error={loaded.error} onRetry={reload} />}
          {loaded.status === 'data' && rows.length === 0 && (
            <Empty title="Nothing has a budget">
              What teams, cost centers and environments may spend a month, and what is left of it, would be here. The platform
              team gives budgets with the policies.
            </Empty>
          )}
          {rows.length > 0 && (
            <>
              <DataTable label="Budgets" columns={COLUMNS} rows={rows} />
              <Text as="p" variant="body-small" color="secondary" className={classes.line}>
                Dollars a month. Reserved is what has been asked for and is not being made yet; committed is what is there.
              </Text>
            </>
          )}
        </div>
      </Container>
    </main>
  );
}

type Row = Budget & { id: string };

const KINDS: Record<Budget['kind'], string> = { team: 'Team', cost_center: 'Cost center', environment: 'Environment' };
const ABOVE: Record<Budget['level'], string> = { deny: 'is denied', require_approval: 'needs approval' };

const COLUMNS: Column<Row>[] = [
  {
    title: 'Budget',
    cell: ({ kind, name }) => (
      <span className={list.name}>
        <Text weight="bold">{kind === 'team' ? <Who entityRef={name} bold /> : name}</Text>
        <Text variant="body-small" color="secondary">
          {KINDS[kind]}
        </Text>
      </span>
    ),
  },
  { title: 'Taken', cell: budget => <Taken budget={budget} /> },
  { title: 'Reserved', align: 'end', cell: ({ reserved }) => formatMoney(reserved) },
  { title: 'Committed', align: 'end', cell: ({ committed }) => formatMoney(committed) },
  { title: 'Limit', align: 'end', cell: ({ limit }) => formatLimit(limit) },
  { title: 'Left', align: 'end', cell: ({ left }) => (left < 0 ? `over by ${formatMoney(-left)}` : formatMoney(left)) },
];

/** The bar is for the eye alone: the words beside it say the same. */
function Taken({ budget }: { budget: Budget }) {
  const { limit, reserved, committed, left, level } = budget;
  const share = (amount: number) => (limit > 0 ? (amount / limit) * 100 : 100);
  return (
    <span className={classes.taken}>
      <span className={classes.bar} data-over={left < 0} aria-hidden="true">
        <span className={classes.committed} style={{ inlineSize: `${Math.min(100, share(committed))}%` }} />
        <span className={classes.reserved} style={{ inlineSize: `${Math.min(100, share(reserved))}%` }} />
      </span>
      <Text variant="body-small" color="secondary">
        {sayShare(share(reserved + committed))}; what exceeds it {ABOVE[level]}
      </Text>
    </span>
  );
}

function sayShare(percent: number): string {
  return percent > 0 && percent < 1 ? 'less than 1 % taken' : `${Math.floor(percent)} % taken`;
}
