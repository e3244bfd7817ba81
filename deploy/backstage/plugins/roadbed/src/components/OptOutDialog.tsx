import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Select, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Campaign } from '../api/types';
import { formatOwner } from '../format';
import { useAction } from '../hooks/useAction';
import { Refusal } from './Refusal';
import classes from './CampaignPage.module.css';

const DAY_MS = 24 * 60 * 60 * 1000;
const PERIODS = [
  { value: '1', label: 'tomorrow' },
  { value: '7', label: 'a week from now' },
  { value: '14', label: 'two weeks from now' },
  { value: '30', label: '30 days from now' },
];

type Props = {
  campaign: Campaign;
  /** teams are entity refs: those of whoever is signed in that own something in the campaign. */
  teams: string[];
  onClose(): void;
  onOptedOut(campaign: Campaign): void;
};

/** OptOutDialog takes which team is to be left alone, until when and why. */
export function OptOutDialog(props: Props) {
  return (
    <Dialog isOpen onOpenChange={open => !open && props.onClose()} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ campaign, teams, onClose, onOptedOut }: Props) {
  const api = useApi(roadbedApiRef);
  const [owner, setOwner] = useState(teams[0]);
  const [days, setDays] = useState('7');
  const [typed, setTyped] = useState('');
  const reason = typed.trim();
  const send = useAction(async () => {
    const until = new Date(Date.now() + Number(days) * DAY_MS).toISOString();
    onOptedOut(await api.optOut(campaign.id, { owner, until, reason }));
  });
  const count = campaign.members.filter(member => member.owner === owner).length;
  return (
    <>
      <DialogHeader>Opt {formatOwner(owner)} out?</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium" className={classes.line}>
          {count === 1 ? 'Its resource is' : `Its ${count} resources are`} left as {count === 1 ? 'it is' : 'they are'} until then; the campaign may
          reach {count === 1 ? 'it' : 'them'} afterwards. What is on its way goes on.
        </Text>
        {teams.length > 1 && (
          <Select
            label="Team"
            options={teams.map(team => ({ value: team, label: formatOwner(team) }))}
            value={owner}
            onChange={chosen => setOwner(String(chosen))}
          />
        )}
        <Select label="Until" options={PERIODS} value={days} onChange={chosen => setDays(String(chosen))} />
        <TextField label="Reason" value={typed} onChange={setTyped} maxLength={500} isRequired />
        <Refusal error={send.error} />
      </DialogBody>
      <DialogFooter>
        <Button variant="secondary" onPress={onClose}>
          Not now
        </Button>
        <Button variant="primary" isDisabled={reason === ''} isPending={send.pending} onPress={send.run}>
          Opt out
        </Button>
      </DialogFooter>
    </>
  );
}
