import { useState, type RefObject } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Dependant, InfrastructureRequest, Instance } from '../api/types';
import { useAction } from '../hooks/useAction';
import { useFocusAfter } from '../hooks/useFocusAfter';
import { newIdempotencyKey } from '../idempotencyKey';
import { lastSnapshot } from '../words';
import { Refused } from './Refused';
import { Who } from './Who';
import classes from './DestroyDialog.module.css';

type FormProps = {
  instance: Instance;
  /** focusAfter has the focus when the dialog closes and what opened it is gone, as a menu's item is. */
  focusAfter: RefObject<HTMLButtonElement>;
  onOpenChange(open: boolean): void;
  onAsked(request: InfrastructureRequest): void;
};

/** DestroyDialog asks for the instance's name, typed, before it asks the sidecar for its end. */
export function DestroyDialog(props: FormProps & { open: boolean }) {
  return (
    <Dialog isOpen={props.open} onOpenChange={props.onOpenChange} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form(props: FormProps) {
  const { instance, focusAfter } = props;
  const api = useApi(roadbedApiRef);
  const [typed, setTyped] = useState('');
  // One key for as long as the dialog is open: a second press after a lost answer finds the first one's request.
  const [key] = useState(newIdempotencyKey);
  const destroy = useAction(async () => {
    props.onAsked(await api.destroyInstance(instance.id, typed.trim(), key));
    props.onOpenChange(false);
  });
  useFocusAfter(focusAfter);
  const matches = typed.trim() === instance.name;
  const snapshot = lastSnapshot(instance);
  const dependants = instance.dependants ?? [];
  if (dependants.length > 0) {
    return <Held instance={instance} dependants={dependants} onClose={() => props.onOpenChange(false)} />;
  }
  return (
    <form
      className={classes.form}
      onSubmit={event => {
        event.preventDefault();
        if (matches) {
          destroy.run();
        }
      }}
    >
      <DialogHeader>Destroy {instance.name}?</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium" className={classes.line}>
          {instance.offering_name} <strong>{instance.name}</strong> in {instance.environment} is deleted with all that is in
          it. {snapshot ? 'What stays is a last snapshot, from which it can be brought back by hand:' : 'This cannot be undone.'}
        </Text>
        {snapshot && <code className={classes.snapshot}>{snapshot}</code>}
        <TextField
          label={`Type ${instance.name} to confirm`}
          value={typed}
          onChange={setTyped}
          autoComplete="off"
          spellCheck="false"
          autoFocus
          description={matches ? undefined : 'The button works once the name is typed in full.'}
        />
        {destroy.error !== undefined && <Refused instance={instance} action="destroy" error={destroy.error} />}
      </DialogBody>
      <DialogFooter className={classes.footer}>
        <Button variant="secondary" onPress={() => props.onOpenChange(false)}>
          Keep {instance.name}
        </Button>
        <Button type="submit" variant="primary" destructive isDisabled={!matches} isPending={destroy.pending}>
          Destroy {instance.name}
        </Button>
      </DialogFooter>
    </form>
  );
}

/** Held is why it cannot be destroyed: those who take an output of it, and whom to ask. */
function Held(props: { instance: Instance; dependants: Dependant[]; onClose(): void }) {
  const { instance, dependants, onClose } = props;
  return (
    <div className={classes.form}>
      <DialogHeader>{instance.name} cannot be destroyed yet</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium" className={classes.line}>
          {dependants.length === 1 ? 'Something else takes' : `${dependants.length} others take`} an output of it, and would be
          left without. Change or destroy what takes it first.
        </Text>
        <ul role="list" aria-label="Dependants" className={classes.list}>
          {dependants.map(({ entity_ref, owner, output, parameter }) => (
            <li key={`${entity_ref} ${parameter}`}>
              <Who entityRef={entity_ref} bold /> of <Who entityRef={owner} /> takes its {output.replaceAll('_', ' ')}
            </li>
          ))}
        </ul>
      </DialogBody>
      <DialogFooter className={classes.footer}>
        <Button variant="primary" onPress={onClose} autoFocus>
          Keep {instance.name}
        </Button>
      </DialogFooter>
    </div>
  );
}
