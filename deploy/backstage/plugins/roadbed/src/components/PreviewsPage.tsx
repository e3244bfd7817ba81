import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Container } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { EphemeralEnvironment, Instance } from '../api/types';
import { formatMonthly, formatOwner } from '../format';
import { useLoad } from '../hooks/useLoad';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Empty } from './Empty';
import { InstanceName } from './InstanceName';
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
  const { loaded, reload } = useLoad('previews', () => api.listPreviews());
  const previews = loaded.status === 'data' ? loaded.data : [];
  return (
    <main>
      <Container>
        <div className={classes.page}>
          {loaded.status === 'loading' && <TableSkeleton label="Loading the previews" columns={COLUMNS} />}
          {loaded.status === 'error' && <Problem what="the previews" error={loaded.error} onRetry={reload} />}
          {loaded.status === 'data' && previews.length === 0 && (
            <Empty title="There are no previews">
              What your teams have for pull requests would be here. A pipeline makes one, or{' '}
              <code>roadbed preview create owner/repository 42 --owner team</code>.
            </Empty>
          )}
          {previews.map(preview => (
            <Preview key={preview.id} preview={preview} ask={action => setAsking({ preview, action })} />
          ))}
        </div>
      </Container>
      {asking && <PreviewDialog {...asking} onClose={() => setAsking(undefined)} onAsked={reload} />}
    </main>
  );
}

function Preview({ preview, ask }: { preview: EphemeralEnvironment; ask(action: PreviewAction): void }) {
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
      <DataTable label={`Made for ${title}`} columns={COLUMNS} rows={preview.instances} />
    </section>
  );
}

const COLUMNS: Column<Instance>[] = [
  {
    title: 'Name',
    cell: instance => (
      <InstanceName instance={instance}>
        {instance.offering_name} · {instance.environment}
      </InstanceName>
    ),
  },
  { title: 'State', cell: instance => <InstanceBadge state={instance.state} /> },
  { title: 'Ends', cell: instance => (instance.expires_at ? <Deadline at={instance.expires_at} /> : 'Never') },
  { title: 'Cost', align: 'end', cell: instance => formatMonthly(instance.monthly_cost) },
];
