import { Text } from '@backstage/ui';
import type { InfrastructureRequest } from '../api/types';
import { ApprovalNotice } from './ApprovalNotice';
import { Notice } from './Notice';

/** Waiting says what a request that has not ended waits for, if it does. */
export function Waiting(props: {
  request: InfrastructureRequest;
  /** me is who looks at it; undefined until that is known. */
  me: string | undefined;
  onAnswered(request: InfrastructureRequest): void;
  onOvertaken(): void;
}) {
  const { request } = props;
  if (request.cancel_reason) {
    return (
      <Notice kind="waiting" title="Cancelling">
        <Text as="p" variant="body-medium">
          The step that is running is being stopped. What has been made so far is kept and stays in your hands.
        </Text>
      </Notice>
    );
  }
  if (request.state === 'awaiting_approval') {
    return <ApprovalNotice {...props} />;
  }
  if (request.state === 'lost') {
    return (
      <Notice kind="waiting" title="Out of touch with what is running">
        <Text as="p" variant="body-medium">
          {request.waiting || 'The worker is silent. It goes on by itself when it is back; there is nothing to do.'}
        </Text>
      </Notice>
    );
  }
  return request.waiting ? (
    <Notice kind="waiting" title={sentence(request.waiting)}>
      <Text as="p" variant="body-medium">
        It goes on by itself; there is nothing to do.
      </Text>
    </Notice>
  ) : null;
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
