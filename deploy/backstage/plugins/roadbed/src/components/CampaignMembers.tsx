import { useState } from 'react';
import { useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, Link, Text } from '@backstage/ui';
import type { Campaign, CampaignMember } from '../api/types';
import { MEMBER_WORDS } from '../campaigns';
import { useStatusRoute } from '../hooks/useStatusRoute';
import { requestRouteRef } from '../routes';
import { DataTable, type Column } from './DataTable';
import { Panel } from './Panel';
import { Who } from './Who';
import classes from './CampaignPage.module.css';

/** How many resources are shown at first. */
const SHOWN = 20;

/** What needs somebody comes first, then what is on its way. */
const ORDER = ['failed', 'asked', 'ready', 'unapproved', 'cannot_plan', 'opted_out', 'planning', 'done', 'gone'];

/** CampaignMembers is the resources of a campaign, those that need somebody first. */
export function CampaignMembers({ campaign }: { campaign: Campaign }) {
  const columns = useColumns(campaign);
  const [all, setAll] = useState(false);
  const sorted = [...campaign.members].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  const rows = (all ? sorted : sorted.slice(0, SHOWN)).map(member => ({ ...member, id: member.instance_id }));
  return (
    <Panel title="Resources" aside={<Text color="secondary">{campaign.members.length} in all</Text>}>
      <DataTable label="Resources" columns={columns} rows={rows} />
      {!all && sorted.length > SHOWN && (
        <span>
          <Button variant="secondary" size="small" onPress={() => setAll(true)}>
            Show the other {sorted.length - SHOWN}
          </Button>
        </span>
      )}
    </Panel>
  );
}

type Row = CampaignMember & { id: string };

function useColumns(campaign: Campaign): Column<Row>[] {
  const statusRoute = useStatusRoute();
  const request = useRouteRef(requestRouteRef);
  return [
    {
      title: 'Resource',
      cell: member => (
        <span className={classes.name}>
          <Link href={statusRoute(member.entity_ref) ?? '#'}>{member.name}</Link>
          <Text variant="body-small" color="secondary">
            {member.environment}
          </Text>
        </span>
      ),
    },
    { title: 'Owner', cell: member => <Who entityRef={member.owner} /> },
    { title: 'Ring', cell: member => campaign.rings[member.ring]?.name ?? '' },
    {
      title: 'State',
      cell: member => (
        <span className={classes.name}>
          {member.request_id ? (
            <Link href={request?.({ id: member.request_id }) ?? '#'}>{MEMBER_WORDS[member.state]}</Link>
          ) : (
            <span>{MEMBER_WORDS[member.state]}</span>
          )}
          {member.waiting && <Text variant="body-small">{member.waiting}</Text>}
          {member.error && member.state !== 'done' && (
            <Text variant="body-small" className={classes.bad}>
              {member.error}
            </Text>
          )}
        </span>
      ),
    },
  ];
}
