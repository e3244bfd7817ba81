import { useMemo, type ReactNode, type RefObject } from 'react';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader } from '@backstage/ui';
import type { InfrastructureRequest, Instance } from '../api/types';
import { useAction } from '../hooks/useAction';
import { useFocusAfter } from '../hooks/useFocusAfter';
import { newIdempotencyKey } from '../idempotencyKey';
import { Refused } from './Refused';
import classes from './DestroyDialog.module.css';

/** What a dialog that asks something of an instance is given. */
export type AskProps = {
  instance: Instance;
  /** focusAfter has the focus when the dialog closes. */
  focusAfter: RefObject<HTMLButtonElement>;
  onOpenChange(open: boolean): void;
  onAsked(request: InfrastructureRequest): void;
};

/** AskDialog is the frame of such a dialog; what is in it is new each time it opens. */
export function AskDialog(props: { open: boolean; onOpenChange(open: boolean): void; children: ReactNode }) {
  return (
    <Dialog isOpen={props.open} onOpenChange={props.onOpenChange} width="min(30rem, calc(100vw - 2rem))">
      {props.children}
    </Dialog>
  );
}

/** AskForm says what an action means, takes what it needs, asks once for it, and says why it was not accepted. */
export function AskForm(
  props: AskProps & {
    title: string;
    /** action is what Refused says may not be done: "rotate". */
    action: string;
    confirm: string;
    decline: string;
    /** answers is what has been filled in: other answers are another ask, with a key of its own. */
    answers?: string;
    /** incomplete holds the button until everything is filled in. */
    incomplete?: boolean;
    ask(key: string): Promise<InfrastructureRequest>;
    children: ReactNode;
  },
) {
  const { instance, action, answers, incomplete = false } = props;
  // One key for the same ask: a second press after a lost answer finds the first one's request.
  const key = useMemo(newIdempotencyKey, [answers]);
  const send = useAction(async () => {
    props.onAsked(await props.ask(key));
    props.onOpenChange(false);
  });
  useFocusAfter(props.focusAfter);
  return (
    <>
      <DialogHeader>{props.title}</DialogHeader>
      <DialogBody className={classes.body}>
        {props.children}
        {send.error !== undefined && <Refused instance={instance} action={action} error={send.error} />}
      </DialogBody>
      <DialogFooter className={classes.footer}>
        <Button variant="secondary" onPress={() => props.onOpenChange(false)}>
          {props.decline}
        </Button>
        <Button variant="primary" isDisabled={incomplete} isPending={send.pending} onPress={send.run}>
          {props.confirm}
        </Button>
      </DialogFooter>
    </>
  );
}
