import { formatAhead, formatExact, formatRelative } from '../format';
import { useNow } from '../hooks/useNow';

/** Moment is a time as people say it, with the exact one on hover. */
export function Moment({ at }: { at: string }) {
  const now = useNow(20_000);
  const date = new Date(at);
  return (
    <time dateTime={at} title={formatExact(date)}>
      {formatRelative(date, now)}
    </time>
  );
}

/** Deadline is a time to come, as people say it, with the exact one on hover. */
export function Deadline({ at }: { at: string }) {
  const now = useNow(20_000);
  const date = new Date(at);
  return (
    <time dateTime={at} title={formatExact(date)}>
      {formatAhead(date, now)}
    </time>
  );
}
