import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Campaign } from '../api/types';
import { sayCounts } from '../campaigns';
import { formatOwner } from '../format';
import { useAction } from '../hooks/useAction';
import { useMe } from '../hooks/useMe';
import { Deadline, Moment } from './Moment';
import { MoveCampaignDialog, type CampaignMove } from './MoveCampaignDialog';
import { Notice } from './Notice';
import { OptOutDialog } from './OptOutDialog';
import { Problem } from './Problem';
import { CampaignBadge } from './StateBadge';
import { Who } from './Who';
import classes from './CampaignPage.module.css';

const WHY_NOT_ID = 'roadbed-why-no-start';
const ALIVE = ['open', 'running', 'halted'];

/** CampaignHeading is what a campaign is, how it stands, and what can be done with the whole of it. */
export function CampaignHeading({ campaign, onChanged }: { campaign: Campaign; onChanged(campaign: Campaign): void }) {
  const api = useApi(roadbedApiRef);
  const me = useMe();
  const [dialog, setDialog] = useState<CampaignMove | 'opt_out'>();
  const start = useAction(async () => onChanged(await api.moveCampaign(campaign.id, 'start', '')));
  const approved = campaign.groups.some(group => group.approved_by);
  const away = campaign.opt_outs.filter(({ until }) => new Date(until) > new Date()).map(({ owner }) => owner);
  const teams = (me?.groups ?? []).filter(group => !away.includes(group) && campaign.members.some(({ owner }) => owner === group));
  const whyNotYet = campaign.may_roll_out && campaign.state === 'open' && !approved;
  const done = (changed: Campaign) => {
    setDialog(undefined);
    onChanged(changed);
  };
  return (
    <>
      <div className={classes.heading}>
        <div className={classes.what}>
          <div className={classes.title}>
            <Text as="h2" variant="title-small" weight="bold" className={classes.line}>
              {campaign.offering_name} to {campaign.version}
            </Text>
            <CampaignBadge state={campaign.state} />
          </div>
          <Text as="p" variant="body-medium" color="secondary" className={classes.line}>
            {sayCounts(campaign.counts)}. Made by <Who entityRef={campaign.by} /> <Moment at={campaign.created_at} />.
          </Text>
          {whyNotYet && (
            <Text as="p" id={WHY_NOT_ID} variant="body-small" color="secondary" className={classes.line}>
              It can be started once a group is approved.
            </Text>
          )}
        </div>
        {ALIVE.includes(campaign.state) && (
          <div className={classes.actions}>
            {campaign.may_roll_out && campaign.state === 'open' && (
              <Button
                variant="primary"
                isDisabled={!approved}
                isPending={start.pending}
                onPress={start.run}
                aria-describedby={whyNotYet ? WHY_NOT_ID : undefined}
              >
                Start
              </Button>
            )}
            {campaign.may_roll_out && campaign.state === 'running' && (
              <Button variant="secondary" onPress={() => setDialog('halt')}>
                Halt
              </Button>
            )}
            {campaign.may_roll_out && campaign.state === 'halted' && (
              <Button variant="primary" onPress={() => setDialog('resume')}>
                Resume
              </Button>
            )}
            {campaign.may_roll_out && (
              <Button variant="tertiary" onPress={() => setDialog('stop')}>
                Stop
              </Button>
            )}
            {teams.length > 0 && (
              <Button variant="secondary" onPress={() => setDialog('opt_out')}>
                Opt {teams.length === 1 ? formatOwner(teams[0]) : 'a team'} out
              </Button>
            )}
          </div>
        )}
      </div>
      {start.error !== undefined && <Problem what="the start" error={start.error} />}
      {campaign.reason && <Notice kind="waiting" title={`${campaign.state === 'halted' ? 'Halted' : 'Stopped'}: ${campaign.reason}`} />}
      {campaign.opt_outs.map(({ owner, until, by, reason }) => (
        <Notice key={owner} kind="info" title={`${formatOwner(owner)} has opted out: ${reason}`}>
          <Text as="p" variant="body-small" className={classes.line}>
            By <Who entityRef={by} />; it ends <Deadline at={until} />.
          </Text>
        </Notice>
      ))}
      {dialog === 'opt_out' && <OptOutDialog campaign={campaign} teams={teams} onClose={() => setDialog(undefined)} onOptedOut={done} />}
      {dialog && dialog !== 'opt_out' && (
        <MoveCampaignDialog campaign={campaign} move={dialog} onClose={() => setDialog(undefined)} onMoved={done} />
      )}
    </>
  );
}
