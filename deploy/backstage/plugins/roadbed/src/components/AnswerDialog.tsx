import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Text, TextAreaField } from '@backstage/ui';
import { explainError } from '../api/explainError';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest } from '../api/types';
import { formatMonthly, formatOwner } from '../format';
import { useAction } from '../hooks/useAction';
import { newIdempotencyKey } from '../idempotencyKey';
import { actionSentence } from '../words';
import { Notice } from './Notice';
import { Problem } from './Problem';
import classes from './ApprovalNotice.module.css';

/** Answer is what an approver says. */
export type Answer = 'approve' | 'reject';

const MAX_REASON = 1000;

type FormProps = {
  request: InfrastructureRequest;
  answer: Answer;
  onOpenChange(open: boolean): void;
  onAnswered(request: InfrastructureRequest): void;
  /** onOvertaken is called when somebody else has answered before. */
  onOvertaken(): void;
};

/** AnswerDialog takes an approver's reason, and sends the answer with it. */
export function AnswerDialog(props: FormProps & { open: boolean }) {
  return (
    <Dialog isOpen={props.open} onOpenChange={props.onOpenChange} width="min(30rem, calc(100vw - 2rem))">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ request, answer, onOpenChange, onAnswered, onOvertaken }: FormProps) {
  const api = useApi(roadbedApiRef);
  const [typed, setTyped] = useState('');
  const reason = typed.trim();
  const approves = answer === 'approve';
  const send = useAction(async () => {
    // The reason may have been changed since the last try, so each try is one of its own: the same answer counts once.
    const key = newIdempotencyKey();
    const answered = approves
      ? await api.approveRequest(request.id, reason, key)
      : await api.rejectRequest(request.id, reason, key);
    onOpenChange(false);
    afterTwoFrames(() => onAnswered(answered));
  });
  const refused = send.error === undefined ? undefined : explainError(send.error);
  const what = actionSentence(request);
  return (
    <>
      <DialogHeader>{approves ? 'Approve this request?' : 'Reject this request?'}</DialogHeader>
      <DialogBody className={classes.body}>
        <Text as="p" variant="body-medium">
          {approves
            ? `${what} goes on as planned${request.action === 'destroy' ? '' : `, for ${formatMonthly(request.monthly_cost)}`}.`
            : `${what} is denied. ${formatOwner(request.requested_by)} reads your reason and can ask again.`}
        </Text>
        <TextAreaField
          label={approves ? 'Reason (optional)' : 'Reason'}
          value={typed}
          onChange={setTyped}
          maxLength={MAX_REASON}
          isRequired={!approves}
          autoFocus
          description={approves || reason ? undefined : 'The button works once there is a reason.'}
        />
        {refused && (refused.status === 403 || refused.status === 409) && (
          <Notice
            kind="info"
            alert
            title={refused.message}
            actions={
              <Button
                size="small"
                variant="secondary"
                onPress={() => {
                  onOpenChange(false);
                  onOvertaken();
                }}
              >
                See how it stands
              </Button>
            }
          />
        )}
        {refused && refused.status !== 403 && refused.status !== 409 && <Problem what="your answer" error={send.error} />}
      </DialogBody>
      <DialogFooter>
        <Button variant="secondary" onPress={() => onOpenChange(false)}>
          Not now
        </Button>
        <Button
          variant="primary"
          destructive={!approves}
          isDisabled={!approves && reason === ''}
          isPending={send.pending}
          onPress={send.run}
        >
          {approves ? 'Approve' : 'Reject'} {request.name}
        </Button>
      </DialogFooter>
    </>
  );
}

// The dialog gives the focus back one frame after it is gone; what takes it then must come later.
function afterTwoFrames(act: () => void) {
  requestAnimationFrame(() => requestAnimationFrame(act));
}
