import { useState } from 'react';
import { useApi, useAppNavigate, useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Select, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Drift, Instance } from '../api/types';
import { useAction } from '../hooks/useAction';
import { newIdempotencyKey } from '../idempotencyKey';
import { requestRouteRef } from '../routes';
import { Refusal } from './Refusal';
import classes from './Drift.module.css';

/** DriftAnswer is what an owner does about drift. */
export type DriftAnswer = 'revert' | 'adopt' | 'suppress';

const DAY_MS = 24 * 60 * 60 * 1000;
const PERIODS = [
  { value: '1', label: 'tomorrow' },
  { value: '7', label: 'a week from now' },
  { value: '30', label: '30 days from now' },
];
const TITLES = { revert: 'Revert the drift?', adopt: 'Adopt the drift?', suppress: 'Suppress the drift?' };
const VERBS = { revert: 'Revert', adopt: 'Adopt', suppress: 'Suppress' };

type Props = {
  instance: Instance;
  drift: Drift;
  answer: DriftAnswer;
  onClose(): void;
  onSuppressed(drift: Drift): void;
};

/** DriftDialog says what an answer to drift does, takes what it needs, and sends it. */
export function DriftDialog(props: Props) {
  return (
    <Dialog isOpen onOpenChange={open => !open && props.onClose()} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ instance, drift, answer, onClose, onSuppressed }: Props) {
  const api = useApi(roadbedApiRef);
  const navigate = useAppNavigate();
  const requestRoute = useRouteRef(requestRouteRef);
  const [key] = useState(newIdempotencyKey);
  const [days, setDays] = useState('7');
  const [typed, setTyped] = useState('');
  const reason = typed.trim();
  const suppresses = answer === 'suppress';
  const cause = drift.cause ?? '';
  const send = useAction(async () => {
    if (suppresses) {
      const until = new Date(Date.now() + Number(days) * DAY_MS).toISOString();
      onSuppressed(await api.suppressDrift(instance.id, { until, reason, cause }));
      return;
    }
    const asked = await api.answerDrift(instance.id, answer, cause, key);
    navigate(requestRoute?.({ id: asked.id }) ?? '/');
  });
  return (
    <>
      <DialogHeader>{TITLES[answer]}</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium">
          {sayWhat(answer, instance.name, drift)}
        </Text>
        {suppresses && (
          <>
            <Select label="Until" options={PERIODS} value={days} onChange={chosen => setDays(String(chosen))} />
            <TextField label="Reason" value={typed} onChange={setTyped} maxLength={1000} isRequired />
          </>
        )}
        <Refusal error={send.error} />
      </DialogBody>
      <DialogFooter>
        <Button variant="secondary" onPress={onClose}>
          Not now
        </Button>
        <Button variant="primary" isDisabled={suppresses && reason === ''} isPending={send.pending} onPress={send.run}>
          {VERBS[answer]} {instance.name}
        </Button>
      </DialogFooter>
    </>
  );
}

function sayWhat(answer: DriftAnswer, name: string, drift: Drift): string {
  switch (answer) {
    case 'revert':
      return `${name} is made again what was asked for; what was changed outside is lost. It is planned and judged first.`;
    case 'adopt':
      return `What is there becomes what is asked for: ${drift.adoption?.summary ?? ''}. Nothing that differs is touched.`;
    default:
      return 'Nobody is told of it until then. Drift for another cause is told all the same.';
  }
}
