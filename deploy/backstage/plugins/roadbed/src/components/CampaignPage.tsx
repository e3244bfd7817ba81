import { useEffect, useState } from 'react';
import { useApi, useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, Link, Text } from '@backstage/ui';
import { RiArrowLeftLine } from '@remixicon/react';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Campaign, CampaignGroup } from '../api/types';
import { sayCounts } from '../campaigns';
import { formatMoney } from '../format';
import { useLoad } from '../hooks/useLoad';
import { campaignsRouteRef } from '../routes';
import { ApproveGroupDialog } from './ApproveGroupDialog';
import { CampaignHeading } from './CampaignHeading';
import { CampaignMembers } from './CampaignMembers';
import { DataTable, TableSkeleton, type Column } from './DataTable';
import { Moment } from './Moment';
import { Panel } from './Panel';
import { Problem } from './Problem';
import { Who } from './Who';
import classes from './CampaignPage.module.css';

const REFRESH_MS = 3_000;

/** CampaignPage is one campaign: what its plans would do, what is approved, and how its rings fare. */
export function CampaignPage({ id }: { id: string }) {
  const api = useApi(roadbedApiRef);
  const list = useRouteRef(campaignsRouteRef)?.();
  const { loaded, reload, replace } = useLoad(id, () => api.getCampaign(id));
  const moves = loaded.status === 'data' && !['finished', 'stopped'].includes(loaded.data.state);
  useEffect(() => {
    if (!moves) {
      return undefined;
    }
    const timer = setInterval(reload, REFRESH_MS);
    return () => clearInterval(timer);
  }, [moves, reload]);
  return (
    <div className={classes.page}>
      {list && (
        <Link href={list} className={classes.back}>
          <RiArrowLeftLine size={16} aria-hidden="true" /> All campaigns
        </Link>
      )}
      {loaded.status === 'loading' && <TableSkeleton label="Loading the campaign" columns={[{ title: 'Group' }, { title: 'How it fares' }]} />}
      {loaded.status === 'error' && <Problem what={`campaign ${id}`} error={loaded.error} onRetry={reload} />}
      {loaded.status === 'data' && (
        <>
          <CampaignHeading campaign={loaded.data} onChanged={replace} />
          <Groups campaign={loaded.data} onChanged={replace} />
          <Rings campaign={loaded.data} />
          <CampaignMembers campaign={loaded.data} />
        </>
      )}
    </div>
  );
}

type Props = { campaign: Campaign; onChanged(campaign: Campaign): void };

type Row = CampaignGroup & { id: string };

function Groups({ campaign, onChanged }: Props) {
  const [asked, setAsked] = useState<CampaignGroup>();
  const rows: Row[] = campaign.groups.map(group => ({ ...group, id: group.shape || group.failure }));
  const columns: Column<Row>[] = [
    {
      title: 'Group',
      cell: group => (
        <span className={classes.name}>
          <strong>
            {group.counts.instances} × {group.title}
          </strong>
          {group.failure && <span className={classes.bad}>{group.failure}</span>}
          {group.findings.map(finding => (
            <Text key={`${finding.rule} ${finding.message}`} variant="body-small">
              {LEVELS[finding.level]} ({finding.count} of {group.counts.instances}): {finding.message}
            </Text>
          ))}
          <Text variant="body-small" color="secondary">
            such as {group.examples.join(', ')}
          </Text>
        </span>
      ),
    },
    { title: 'How it fares', cell: group => sayCounts(group.counts) },
    { title: 'A month', align: 'end', cell: group => sayDifference(group.failure ? undefined : group.monthly_difference) },
    {
      title: 'Approved',
      cell: group => {
        if (group.failure) {
          return 'left alone';
        }
        if (group.approved_by) {
          return (
            <span>
              by <Who entityRef={group.approved_by} /> {group.approved_at && <Moment at={group.approved_at} />}
            </span>
          );
        }
        if (!campaign.may_roll_out || ['finished', 'stopped'].includes(campaign.state)) {
          return 'no';
        }
        return (
          <Button size="small" variant="secondary" onPress={() => setAsked(group)} aria-label={`Approve ${group.title}`}>
            Approve
          </Button>
        );
      },
    },
  ];
  return (
    <Panel title="What it would do">
      {rows.length > 0 ? (
        <DataTable label="Groups" columns={columns} rows={rows} />
      ) : (
        <Text as="p" variant="body-medium" color="secondary" className={classes.line}>
          Workers are planning it. Nothing is touched by that.
        </Text>
      )}
      {asked && (
        <ApproveGroupDialog
          campaign={campaign}
          group={asked}
          onClose={() => setAsked(undefined)}
          onApproved={approved => {
            setAsked(undefined);
            onChanged(approved);
          }}
        />
      )}
    </Panel>
  );
}

const LEVELS: Record<string, string> = { deny: 'Denied', require_approval: 'Needs approval', warn: 'Warning', info: 'Note' };

function Rings({ campaign }: { campaign: Campaign }) {
  return (
    <Panel title="Rings" aside={<Text color="secondary">{sayPace(campaign)}</Text>}>
      <ol className={classes.rings} aria-label="Rings">
        {campaign.rings.map((ring, n) => {
          const { done, asked, failed, instances } = ring.counts;
          if (instances === 0) {
            return null;
          }
          const share = (count: number) => `${(count / instances) * 100}%`;
          return (
            <li key={ring.name} aria-current={campaign.state === 'running' && n === campaign.ring ? 'step' : undefined}>
              <strong>
                {ring.name}
                {campaign.state === 'running' && n === campaign.ring && ' (now)'}
              </strong>
              <span className={classes.bar} aria-hidden="true">
                <span data-part="done" style={{ inlineSize: share(done) }} />
                <span data-part="asked" style={{ inlineSize: share(asked) }} />
                <span data-part="failed" style={{ inlineSize: share(failed) }} />
              </span>
              <Text variant="body-small" color="secondary">
                {sayCounts(ring.counts)}
              </Text>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}

function sayPace({ halt_after, at_once }: Campaign): string {
  return `${at_once} at once; halts after ${halt_after} ${halt_after === 1 ? 'failure' : 'failures'}`;
}

function sayDifference(difference: number | undefined): string {
  if (difference === undefined) {
    return 'not known';
  }
  return difference > 0 ? `+${formatMoney(difference)}` : formatMoney(difference);
}
