import { useMemo, useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Select, Text } from '@backstage/ui';
import { explainError } from '../api/explainError';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { EphemeralEnvironment, PreviewOutcome } from '../api/types';
import { useAction } from '../hooks/useAction';
import { newIdempotencyKey } from '../idempotencyKey';
import { lastSnapshot } from '../words';
import { Findings } from './Findings';
import { Notice } from './Notice';
import { Problem } from './Problem';
import classes from './Previews.module.css';

/** PreviewAction is what can be asked of the whole of a preview. */
export type PreviewAction = 'extend' | 'delete';

const PERIODS = [
  { value: '4h', label: '4 hours longer' },
  { value: '24h', label: 'A day longer' },
  { value: '3d', label: '3 days longer' },
  { value: '7d', label: 'A week longer' },
];

type Props = {
  preview: EphemeralEnvironment;
  action: PreviewAction;
  onClose(): void;
  /** onAsked is told that something was accepted. */
  onAsked(): void;
};

/** PreviewDialog asks for a longer life, or the end, of each part of a preview, and says which were refused. */
export function PreviewDialog(props: Props) {
  return (
    <Dialog isOpen onOpenChange={open => !open && props.onClose()} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ preview, action, onClose, onAsked }: Props) {
  const api = useApi(roadbedApiRef);
  const [by, setBy] = useState('24h');
  const [refused, setRefused] = useState<PreviewOutcome[]>([]);
  // One key for the same ask: a second press after a lost answer finds the first one's requests.
  const key = useMemo(newIdempotencyKey, [by]);
  const send = useAction(async () => {
    const outcomes = action === 'extend' ? await api.extendPreview(preview.id, by, key) : await api.deletePreview(preview.id, key);
    onAsked();
    const not = outcomes.filter(outcome => outcome.error);
    setRefused(not);
    if (not.length === 0) {
      onClose();
    }
  });
  const name = `${preview.name} of ${preview.repository}`;
  const kept = preview.instances.some(lastSnapshot);
  const count = preview.instances.length === 1 ? 'Its resource' : `Each of its ${preview.instances.length} resources`;
  return (
    <>
      <DialogHeader>{action === 'extend' ? `Extend ${name}?` : `Delete ${name}?`}</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium" className={classes.line}>
          {action === 'extend'
            ? `${count} is asked to live longer, which is priced over its whole life and may need approval.`
            : `${count} is deleted with all that is in it. ${kept ? 'What stays is a last snapshot.' : 'This cannot be undone.'}`}
        </Text>
        {action === 'extend' && <Select label="How long" options={PERIODS} value={by} onChange={chosen => setBy(String(chosen))} />}
        {refused.length > 0 && (
          <Notice kind="answer" alert title={`${refused.length} of ${preview.instances.length} were refused; the rest was asked for`}>
            <ul className={classes.refusals}>
              {refused.map(outcome => (
                <li key={outcome.instance_id}>
                  {outcome.name}: {outcome.error}
                </li>
              ))}
            </ul>
          </Notice>
        )}
        {send.error !== undefined && <Refusal action={action} error={send.error} />}
      </DialogBody>
      <DialogFooter>
        <Button variant="secondary" onPress={onClose}>
          {refused.length > 0 ? 'Close' : action === 'extend' ? 'Not now' : `Keep ${preview.name}`}
        </Button>
        {refused.length === 0 && (
          <Button variant="primary" destructive={action === 'delete'} isPending={send.pending} onPress={send.run}>
            {action === 'extend' ? 'Extend' : 'Delete'} {preview.name}
          </Button>
        )}
      </DialogFooter>
    </>
  );
}

function Refusal({ action, error }: { action: PreviewAction; error: unknown }) {
  const { status, message, findings } = explainError(error);
  if (status === 400 || status === 403 || status === 404 || status === 409) {
    return (
      <Notice kind="answer" alert title={message}>
        {findings.length > 0 && <Findings findings={findings} />}
      </Notice>
    );
  }
  return <Problem what={`the request to ${action} it`} error={error} />;
}
