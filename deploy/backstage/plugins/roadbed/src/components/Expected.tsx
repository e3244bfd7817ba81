import { Text } from '@backstage/ui';
import type { InfrastructureRequest } from '../api/types';

const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayAndTime = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** Expected says by when a request is done, from those like it; nothing once it has ended. */
export function Expected({ request }: { request: InfrastructureRequest }) {
  const { expected } = request;
  if (!expected) {
    return null;
  }
  const by = expected.late ? null : expected.by;
  return (
    <Text as="p" variant="body-medium" color="secondary" style={{ margin: 0 }}>
      {by !== null && (
        <>
          90 % of these finish by <time dateTime={by}>{clock(new Date(by))}</time>:{' '}
        </>
      )}
      {by === null ? expected.message.charAt(0).toUpperCase() + expected.message.slice(1) : expected.message}
    </Text>
  );
}

function clock(at: Date): string {
  return (at.toDateString() === new Date().toDateString() ? time : dayAndTime).format(at);
}
