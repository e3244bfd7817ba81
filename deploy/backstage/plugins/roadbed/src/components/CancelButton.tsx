import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Dialog, DialogBody, DialogFooter, DialogHeader, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest } from '../api/types';
import { useAction } from '../hooks/useAction';
import { newIdempotencyKey } from '../idempotencyKey';
import { actionSentence } from '../words';
import { Problem } from './Problem';

/** CancelButton stops a request, after saying what that means. */
export function CancelButton(props: {
  request: InfrastructureRequest;
  onCancelled(request: InfrastructureRequest): void;
}) {
  const { request } = props;
  const api = useApi(roadbedApiRef);
  const [open, setOpen] = useState(false);
  const [key] = useState(newIdempotencyKey);
  const cancel = useAction(async () => {
    props.onCancelled(await api.cancelRequest(request.id, key));
    setOpen(false);
  });
  const waits = request.state === 'awaiting_approval';
  const asked = request.cancel_reason !== '';
  const begun = request.state === 'applying' || request.state === 'lost';
  return (
    <>
      <Button size="small" variant="secondary" isDisabled={asked} onPress={() => setOpen(true)}>
        {asked ? 'Already being cancelled' : waits ? 'Withdraw this request' : 'Cancel this request'}
      </Button>
      <Dialog isOpen={open} onOpenChange={setOpen} width="min(28rem, calc(100vw - 2rem))">
        <DialogHeader>{waits ? 'Withdraw' : 'Cancel'} this request?</DialogHeader>
        <DialogBody>
          <Text as="p" variant="body-medium">
            {actionSentence(request)} stops.{' '}
            {begun
              ? 'What has been made so far stays, is still charged, and can be destroyed from its page.'
              : 'Nothing has been made yet, so nothing is left behind.'}
          </Text>
          {cancel.error !== undefined && <Problem what="the cancellation" error={cancel.error} />}
        </DialogBody>
        <DialogFooter>
          <Button variant="secondary" onPress={() => setOpen(false)}>
            Let it go on
          </Button>
          <Button variant="primary" isPending={cancel.pending} onPress={cancel.run}>
            {waits ? 'Withdraw' : 'Cancel'} the request
          </Button>
        </DialogFooter>
      </Dialog>
    </>
  );
}
