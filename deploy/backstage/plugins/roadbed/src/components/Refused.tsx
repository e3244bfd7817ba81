import { Text } from '@backstage/ui';
import { explainError } from '../api/explainError';
import type { Instance } from '../api/types';
import { formatOwner } from '../format';
import { Findings } from './Findings';
import { Notice } from './Notice';
import { Problem } from './Problem';

/** Refused is why an instance's action was not accepted; `action` is "destroy", "hand over". */
export function Refused({ instance, action, error }: { instance: Instance; action: string; error: unknown }) {
  const { status, message, details, findings } = explainError(error);
  if (status === 403 && findings.length > 0) {
    return (
      <Notice kind="answer" alert title={message}>
        <Findings findings={findings} />
      </Notice>
    );
  }
  if (status === 403) {
    return (
      <Notice kind="info" alert title={`Only ${formatOwner(instance.owner)} may ${action} this`}>
        <Text as="p" variant="body-medium">
          {message}
        </Text>
      </Notice>
    );
  }
  if (status === 400 || status === 409) {
    return (
      <Notice kind="info" alert title={message}>
        {/* A single fault is the message itself. */}
        {details.length > 1 && details.map(detail => (
          <Text as="p" variant="body-medium" key={detail}>
            {detail}
          </Text>
        ))}
      </Notice>
    );
  }
  return <Problem what={`the request to ${action} it`} error={error} />;
}
