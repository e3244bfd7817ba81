import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Campaign } from '../api/types';
import { useAction } from '../hooks/useAction';
import { Problem } from './Problem';
import classes from './CampaignPage.module.css';

/** CampaignMove is what is done with a campaign for a reason. */
export type CampaignMove = 'halt' | 'resume' | 'stop';

const WORDS: Record<CampaignMove, { title: string; says: string; button: string }> = {
  halt: { title: 'Halt it?', says: 'Nothing more is asked for until somebody resumes it. What is on its way goes on.', button: 'Halt' },
  resume: { title: 'Resume it?', says: 'It goes on with the rest. What has failed so far stays as it is.', button: 'Resume' },
  stop: { title: 'Stop it for good?', says: 'Nothing more is asked for, ever. What is on its way goes on.', button: 'Stop' },
};

type Props = { campaign: Campaign; move: CampaignMove; onClose(): void; onMoved(campaign: Campaign): void };

/** MoveCampaignDialog takes the reason and does it. */
export function MoveCampaignDialog(props: Props) {
  return (
    <Dialog isOpen onOpenChange={open => !open && props.onClose()} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ campaign, move, onClose, onMoved }: Props) {
  const api = useApi(roadbedApiRef);
  const [typed, setTyped] = useState('');
  const reason = typed.trim();
  const words = WORDS[move];
  const send = useAction(async () => onMoved(await api.moveCampaign(campaign.id, move, reason)));
  return (
    <>
      <DialogHeader>{words.title}</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium" className={classes.line}>
          {words.says}
        </Text>
        <TextField label="Reason" value={typed} onChange={setTyped} maxLength={500} isRequired={move !== 'resume'} autoFocus />
        {send.error !== undefined && <Problem what="this" error={send.error} />}
      </DialogBody>
      <DialogFooter>
        <Button variant="secondary" onPress={onClose}>
          Not now
        </Button>
        <Button variant="primary" isDisabled={move !== 'resume' && reason === ''} isPending={send.pending} onPress={send.run}>
          {words.button}
        </Button>
      </DialogFooter>
    </>
  );
}
