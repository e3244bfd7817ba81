import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Campaign, CampaignGroup } from '../api/types';
import { useAction } from '../hooks/useAction';
import { Notice } from './Notice';
import { Problem } from './Problem';
import classes from './CampaignPage.module.css';

type Props = { campaign: Campaign; group: CampaignGroup; onClose(): void; onApproved(campaign: Campaign): void };

/** ApproveGroupDialog lets plans of one shape be applied; what would lose something is typed first. */
export function ApproveGroupDialog(props: Props) {
  return (
    <Dialog isOpen onOpenChange={open => !open && props.onClose()} width="min(34rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ campaign, group, onClose, onApproved }: Props) {
  const api = useApi(roadbedApiRef);
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  const approve = useAction(async () => onApproved(await api.approveGroup(campaign.id, group.shape, { confirm: typed.trim(), reason: reason.trim() })));
  const { instances } = group.counts;
  const many = instances === 1 ? '1 resource' : `${instances} resources`;
  return (
    <>
      <DialogHeader>Approve this for {many}?</DialogHeader>
      <DialogBody className={classes.body}>
        <ul className={classes.rings} aria-label="What would happen">
          {group.lines.length === 0 && <li>Nothing changes but the version.</li>}
          {group.lines.map(line => (
            <li key={`${line.action} ${line.type} ${line.attributes.join()}`}>
              <strong>
                {line.action} {line.type}
              </strong>
              {line.attributes.some(Boolean) && <Text variant="body-small">{line.attributes.filter(Boolean).join(', ')}</Text>}
            </li>
          ))}
        </ul>
        <Text as="p" variant="body-medium" className={classes.line}>
          Each is an ordinary request, on your word. One whose plan turns out to do anything else waits for somebody.
        </Text>
        {group.confirm && (
          <>
            <Notice kind="bad" title="This loses what is there" />
            <TextField label={`Type ${group.confirm} to approve it`} value={typed} onChange={setTyped} autoComplete="off" spellCheck="false" autoFocus />
          </>
        )}
        <TextField label="Reason" value={reason} onChange={setReason} maxLength={500} />
        {approve.error !== undefined && <Problem what="your approval" error={approve.error} />}
      </DialogBody>
      <DialogFooter className={classes.footer}>
        <Button variant="secondary" onPress={onClose}>
          Not now
        </Button>
        <Button
          variant="primary"
          destructive={group.confirm !== ''}
          isDisabled={typed.trim() !== group.confirm}
          isPending={approve.pending}
          onPress={approve.run}
        >
          Approve for {many}
        </Button>
      </DialogFooter>
    </>
  );
}
