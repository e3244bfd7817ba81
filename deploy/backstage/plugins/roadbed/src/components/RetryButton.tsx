import { useState } from 'react';
import { useApi, useAppNavigate, useRouteRef } from '@backstage/frontend-plugin-api';
import { Button } from '@backstage/ui';
import { explainError } from '../api/explainError';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest } from '../api/types';
import { useAction } from '../hooks/useAction';
import { newIdempotencyKey } from '../idempotencyKey';
import { requestRouteRef } from '../routes';
import { Notice } from './Notice';
import { Problem } from './Problem';

/** RetryButton asks anew for what a request did not bring about, and leads to the new request. */
export function RetryButton({ request }: { request: InfrastructureRequest }) {
  const api = useApi(roadbedApiRef);
  const navigate = useAppNavigate();
  const requestRoute = useRouteRef(requestRouteRef);
  // One key for as long as it is on show: a second press after a lost answer finds the first one's request.
  const [key] = useState(newIdempotencyKey);
  const retry = useAction(async () => {
    const asked = await api.retryRequest(request.id, key);
    navigate(requestRoute?.({ id: asked.id }) ?? '/');
  });
  const refused = retry.error === undefined ? undefined : explainError(retry.error);
  return (
    <>
      <Button size="small" variant="primary" isPending={retry.pending} onPress={retry.run}>
        Retry
      </Button>
      {refused?.status === 409 && <Notice kind="info" alert title={refused.message} />}
      {refused && refused.status !== 409 && <Problem what="the retry" error={retry.error} />}
    </>
  );
}
