import { useState, type RefObject } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest, Instance } from '../api/types';
import { useAction } from '../hooks/useAction';
import { useFocusAfter } from '../hooks/useFocusAfter';
import { newIdempotencyKey } from '../idempotencyKey';
import { Refused } from './Refused';
import classes from './DestroyDialog.module.css';

type FormProps = {
  instance: Instance;
  /** focusAfter has the focus when the dialog closes. */
  focusAfter: RefObject<HTMLButtonElement>;
  onOpenChange(open: boolean): void;
  onAsked(request: InfrastructureRequest): void;
};

/** RotateDialog says what new credentials mean for whoever uses the old ones, before it asks for them. */
export function RotateDialog(props: FormProps & { open: boolean }) {
  return (
    <Dialog isOpen={props.open} onOpenChange={props.onOpenChange} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ instance, focusAfter, onOpenChange, onAsked }: FormProps) {
  const api = useApi(roadbedApiRef);
  // One key for as long as the dialog is open: a second press after a lost answer finds the first one's request.
  const [key] = useState(newIdempotencyKey);
  const rotate = useAction(async () => {
    onAsked(await api.rotateCredentials(instance.id, key));
    onOpenChange(false);
  });
  useFocusAfter(focusAfter);
  return (
    <>
      <DialogHeader>New credentials for {instance.name}?</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium" className={classes.line}>
          The old ones stop working as soon as the new ones are made: whatever uses {instance.name} needs the new ones then, from
          Connect. Everything else stays as it is.
        </Text>
        {rotate.error !== undefined && <Refused instance={instance} action="rotate" error={rotate.error} />}
      </DialogBody>
      <DialogFooter className={classes.footer}>
        <Button variant="secondary" onPress={() => onOpenChange(false)}>
          Keep the old ones
        </Button>
        <Button variant="primary" isPending={rotate.pending} onPress={rotate.run}>
          Rotate credentials
        </Button>
      </DialogFooter>
    </>
  );
}
