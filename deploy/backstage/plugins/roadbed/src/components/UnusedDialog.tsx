import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Select, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { UnusedFinding } from '../api/types';
import { useAction } from '../hooks/useAction';
import { Refusal } from './Refusal';
import classes from './Unused.module.css';

/** UnusedAnswerKind is how its owner answers that something is unused. */
export type UnusedAnswerKind = 'snooze' | 'needed';

const DAY_MS = 24 * 60 * 60 * 1000;
const PERIODS = [
  { value: '7', label: 'a week from now' },
  { value: '30', label: '30 days from now' },
  { value: '90', label: '90 days from now' },
  { value: '365', label: 'a year from now' },
];

type Props = {
  finding: UnusedFinding;
  kind: UnusedAnswerKind;
  onClose(): void;
  onAnswered(): void;
};

/** UnusedDialog takes until when, and why, and sends the answer. */
export function UnusedDialog(props: Props) {
  return (
    <Dialog isOpen onOpenChange={open => !open && props.onClose()} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ finding, kind, onClose, onAnswered }: Props) {
  const api = useApi(roadbedApiRef);
  const [days, setDays] = useState('30');
  const [typed, setTyped] = useState('');
  const reason = typed.trim();
  const needed = kind === 'needed';
  const send = useAction(async () => {
    const until = new Date(Date.now() + Number(days) * DAY_MS).toISOString();
    await api.answerUnused(finding.id, kind, { until, reason });
    onAnswered();
  });
  return (
    <>
      <DialogHeader>{needed ? `Until when is ${finding.name} needed?` : `Snooze ${finding.name}?`}</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium">
          Nobody is told of it until then. Its first use ends this.
        </Text>
        <Select label="Until" options={PERIODS} value={days} onChange={chosen => setDays(String(chosen))} />
        <TextField label={needed ? 'What it is needed for' : 'Reason'} value={typed} onChange={setTyped} maxLength={1000} isRequired={needed} />
        <Refusal error={send.error} />
      </DialogBody>
      <DialogFooter>
        <Button variant="secondary" onPress={onClose}>
          Not now
        </Button>
        <Button variant="primary" isDisabled={needed && reason === ''} isPending={send.pending} onPress={send.run}>
          {needed ? 'Keep' : 'Snooze'} {finding.name}
        </Button>
      </DialogFooter>
    </>
  );
}
