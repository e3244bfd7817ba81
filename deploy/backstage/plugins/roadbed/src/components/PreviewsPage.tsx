import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Container, Link, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { EphemeralEnvironment, Instance } from '../api/types';
import { formatMonthly, formatOwner } from '../format';
import { useLoad } from '../hooks/useLoad';
import { useStatusRoute } from '../hooks/useStatusRoute';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Empty } from './Empty';
import { Deadline } from './Moment';
import { PreviewDialog, type PreviewAction } from './PreviewDialog';
import { Problem } from './Problem';
import { InstanceBadge } from './StateBadge';
import classes from './Previews.module.css';

type Asking = { preview: EphemeralEnvironment; action: PreviewAction };

/** PreviewsPage is what lives for pull requests, by pull request: its parts, what they cost, and when they end. */
export function PreviewsPage() {
  const api = useApi(roadbedApiRef);
  const [asking, setAsking] = useState<Asking>();
  const columns = useColumns();
  const { loaded, reload } = useLoad('previews', () => api.listPreviews());
  const previews = loaded.status === 'data' ? loaded.data : [];
  return (
    <main>
      <Container>
        <div className={classes.page}>
          {loaded.status === 'loading' && <TableSkeleton label="Loading the previews" columns={columns} />}
          {loaded.status === 'error' && <Problem what="the previews" error={loaded.error} onRetry={reload} />}
          {loaded.status === 'data' && previews.length === 0 && (
            <Empty title="There are no previews">
              What your teams have for pull requests would be here. A pipeline makes one, or{' '}
              <code>roadbed preview create owner/repository 42 --owner team</code>.
            </Empty>
          )}
          {previews.map(preview => (
            <Preview key={preview.id} preview={preview} columns={columns} ask={action => setAsking({ preview, action })} />
          ))}
        </div>
      </Container>
      {asking && <PreviewDialog {...asking} onClose={() => setAsking(undefined)} onAsked={reload} />}
    </main>
  );
}

function Preview(props: { preview: EphemeralEnvironment; columns: Column<Instance>[]; ask(action: PreviewAction): void }) {
  const { preview, columns, ask } = props;
  const title = `${preview.repository} #${preview.pull_request}`;
  const owner = preview.instances[0]?.owner;
  return (
    <section className={classes.preview} aria-label={title}>
      <div className={classes.head}>
        <div className={classes.name}>
          <h2 className={classes.title}>{title}</h2>
          <span className={classes.facts}>
            <span>{preview.name}</span>
            {owner && <span>{formatOwner(owner)}</span>}
            <span>copied from {preview.base}</span>
            <span>{formatMonthly(preview.monthly_cost)}</span>
            {preview.expires_at && (
              <span>
                ends <Deadline at={preview.expires_at} />
              </span>
            )}
          </span>
        </div>
        <span className={classes.actions}>
          <Button variant="secondary" size="small" aria-label={`Extend the preview of ${title}`} onPress={() => ask('extend')}>
            Extend
          </Button>
          <Button variant="secondary" size="small" aria-label={`Delete the preview of ${title}`} onPress={() => ask('delete')}>
            Delete
          </Button>
        </span>
      </div>
      <DataTable label={`Made for ${title}`} columns={columns} rows={preview.instances} />
    </section>
  );
}

function useColumns(): Column<Instance>[] {
  const statusRoute = useStatusRoute();
  return [
    {
      title: 'Name',
      cell: instance => (
        <span className={classes.name}>
          <Link href={statusRoute(instance.entity_ref) ?? '#'} weight="bold">
            {instance.name}
          </Link>
          <Text variant="body-small" color="secondary">
            {instance.offering_name} · {instance.environment}
          </Text>
        </span>
      ),
    },
    { title: 'State', cell: instance => <InstanceBadge state={instance.state} /> },
    { title: 'Ends', cell: instance => (instance.expires_at ? <Deadline at={instance.expires_at} /> : 'Never') },
    { title: 'Cost', align: 'end', cell: instance => formatMonthly(instance.monthly_cost) },
  ];
}
