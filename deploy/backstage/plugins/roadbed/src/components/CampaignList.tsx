import { useApi, useRouteRef } from '@backstage/frontend-plugin-api';
import { Link, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Campaign } from '../api/types';
import { sayCounts } from '../campaigns';
import { useLoad } from '../hooks/useLoad';
import { campaignRouteRef } from '../routes';
import { CampaignForm } from './CampaignForm';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Empty } from './Empty';
import { Moment } from './Moment';
import { Problem } from './Problem';
import { CampaignBadge } from './StateBadge';
import classes from './List.module.css';

/** CampaignList is the campaigns that one may see, the newest first; the platform team makes another here. */
export function CampaignList() {
  const api = useApi(roadbedApiRef);
  const columns = useColumns();
  const { loaded, reload } = useLoad('campaigns', () => api.listCampaigns());
  const rows = loaded.status === 'data' ? loaded.data.items : [];
  return (
    <div className={classes.list}>
      {loaded.status === 'loading' && <TableSkeleton label="Loading the campaigns" columns={columns} />}
      {loaded.status === 'error' && <Problem what="the campaigns" error={loaded.error} onRetry={reload} />}
      {loaded.status === 'data' && rows.length === 0 && (
        <Empty title="Nothing is being rolled out">
          The upgrade of many resources to one version of their offering would be here: what it would do to each, and how far it
          has come.
        </Empty>
      )}
      {rows.length > 0 && <DataTable label="Campaigns" columns={columns} rows={rows} />}
      {loaded.status === 'data' && loaded.data.may_roll_out && <CampaignForm />}
    </div>
  );
}

function useColumns(): Column<Campaign>[] {
  const one = useRouteRef(campaignRouteRef);
  return [
    {
      title: 'Campaign',
      cell: campaign => (
        <span className={classes.name}>
          <Link href={one?.({ id: campaign.id }) ?? '#'} weight="bold">
            {campaign.offering_name} to {campaign.version}
          </Link>
          <Text variant="body-small" color="secondary">
            <Moment at={campaign.created_at} />
          </Text>
        </span>
      ),
    },
    { title: 'State', cell: campaign => <CampaignBadge state={campaign.state} /> },
    { title: 'How it fares', cell: campaign => sayCounts(campaign.counts) },
    { title: 'Resources', align: 'end', cell: campaign => campaign.counts.instances },
  ];
}
