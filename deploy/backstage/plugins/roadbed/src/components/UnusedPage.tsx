import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Container, Link, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { UnusedFinding } from '../api/types';
import { formatMonthly, formatOwner } from '../format';
import { useLoad } from '../hooks/useLoad';
import { useStatusRoute } from '../hooks/useStatusRoute';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Empty } from './Empty';
import { Deadline, Moment } from './Moment';
import { Problem } from './Problem';
import { UnusedDialog, type UnusedAnswerKind } from './UnusedDialog';
import classes from './Unused.module.css';

type Asking = { finding: UnusedFinding; kind: UnusedAnswerKind };

/** UnusedPage is what nobody uses, by owner, with what destroying it would save and the answers that there are. */
export function UnusedPage() {
  const api = useApi(roadbedApiRef);
  const [asking, setAsking] = useState<Asking>();
  const columns = useColumns((finding, kind) => setAsking({ finding, kind }));
  const { loaded, reload } = useLoad('unused', () => api.listUnused());
  const groups = loaded.status === 'data' ? loaded.data.items : [];
  return (
    <main>
      <Container>
        <div className={classes.page}>
          {loaded.status === 'loading' && <TableSkeleton label="Loading what is unused" columns={columns} />}
          {loaded.status === 'error' && <Problem what="what is unused" error={loaded.error} onRetry={reload} />}
          {loaded.status === 'data' && groups.length === 0 && (
            <Empty title="Nothing is known to be unused">
              What nobody has used for long would be here, with what destroying it would save. What is not measured is never
              called unused.
            </Empty>
          )}
          {groups.map(group => (
            <section key={group.owner} className={classes.group}>
              <h2 className={classes.owner}>
                {formatOwner(group.owner)}: {group.count} unused, {formatMonthly(group.monthly_saving)}
              </h2>
              <DataTable label={`Unused, of ${formatOwner(group.owner)}`} columns={columns} rows={group.items} />
            </section>
          ))}
        </div>
      </Container>
      {asking && (
        <UnusedDialog
          {...asking}
          onClose={() => setAsking(undefined)}
          onAnswered={() => {
            setAsking(undefined);
            reload();
          }}
        />
      )}
    </main>
  );
}

function useColumns(ask: (finding: UnusedFinding, kind: UnusedAnswerKind) => void): Column<UnusedFinding>[] {
  const statusRoute = useStatusRoute();
  return [
    {
      title: 'Name',
      cell: finding => (
        <span className={classes.name}>
          <Link href={statusRoute(finding.entity_ref) ?? '#'} weight="bold">
            {finding.name}
          </Link>
          <Text variant="body-small" color="secondary">
            {finding.type} · {finding.environment}
          </Text>
        </span>
      ),
    },
    {
      title: 'Why',
      cell: finding => (
        <span className={classes.name}>
          {finding.reason}
          <Text variant="body-small" color="secondary">
            {finding.used_at ? 'last used ' : 'measured '}
            <Moment at={finding.used_at ?? finding.measured_at} />
          </Text>
        </span>
      ),
    },
    {
      title: 'Answer',
      cell: finding => (
        <span className={classes.name}>
          {finding.answer && (
            <span>
              {finding.answer.kind === 'needed' ? 'Needed until ' : 'Snoozed until '}
              <Deadline at={finding.answer.until} />
              {finding.answer.reason && `: ${finding.answer.reason}`}
            </span>
          )}
          <span className={classes.answers}>
            <Button variant="secondary" size="small" aria-label={`Snooze ${finding.name}`} onPress={() => ask(finding, 'snooze')}>
              Snooze
            </Button>
            <Button variant="secondary" size="small" aria-label={`Say until when ${finding.name} is needed`} onPress={() => ask(finding, 'needed')}>
              Needed
            </Button>
            <Link href={statusRoute(finding.entity_ref) ?? '#'} aria-label={`Destroy ${finding.name} on its Status tab`}>
              Destroy
            </Link>
          </span>
        </span>
      ),
    },
    { title: 'Saves', align: 'end', cell: finding => formatMonthly(finding.monthly_cost) },
  ];
}
