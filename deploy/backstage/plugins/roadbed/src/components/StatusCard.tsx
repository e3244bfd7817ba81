import { useApi } from '@backstage/frontend-plugin-api';
import { useEntity } from '@backstage/plugin-catalog-react';
import { Link } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import { formatMonthly } from '../format';
import { useLoad } from '../hooks/useLoad';
import { useStatusRoute } from '../hooks/useStatusRoute';
import { actionSentence, isGone } from '../words';
import { Facts } from './Facts';
import { Deadline, Moment } from './Moment';
import { Panel } from './Panel';
import { PanelSkeleton } from './PanelSkeleton';
import { Problem } from './Problem';
import { InstanceBadge } from './StateBadge';

/** StatusCard is the Status tab in short, on an instance's overview in the catalog. */
export function StatusCard() {
  const { entity } = useEntity();
  const id = entity.metadata.annotations?.['roadbed.dev/instance'] ?? '';
  const api = useApi(roadbedApiRef);
  const statusRoute = useStatusRoute();
  const { loaded, reload } = useLoad(id, () => api.getInstance(id));
  if (loaded.status === 'loading') {
    return <PanelSkeleton title="Status" lines={4} />;
  }
  if (loaded.status === 'error') {
    return <Problem what={`the status of ${entity.metadata.title ?? entity.metadata.name}`} error={loaded.error} onRetry={reload} />;
  }
  const { instance, requests } = loaded.data;
  const newest = requests.at(0);
  const ends = instance.expires_at && !isGone(instance.state) ? instance.expires_at : undefined;
  return (
    <Panel title="Status" aside={<InstanceBadge state={instance.state} />}>
      <Facts
        facts={[
          { name: 'Version', value: `${instance.offering_name} ${instance.offering_version}` },
          { name: 'Cost', value: isGone(instance.state) ? 'none any more' : formatMonthly(instance.monthly_cost) },
          ...(ends ? [{ name: 'Ends', value: <Deadline at={ends} /> }] : []),
          ...(newest
            ? [
                {
                  name: 'Newest request',
                  value: (
                    <>
                      {actionSentence(newest)}, <Moment at={newest.created_at} />
                    </>
                  ),
                },
              ]
            : []),
        ]}
      />
      <Link href={statusRoute(instance.entity_ref) ?? '#'}>Connect to it, follow it and change it</Link>
    </Panel>
  );
}
