import { useApi } from '@backstage/frontend-plugin-api';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Activity, Instance } from '../api/types';
import { formatExact, formatSince } from '../format';
import { useLoad } from '../hooks/useLoad';
import { Moment } from './Moment';

/** LastUsed is when an instance was last used and when that was measured, or why nobody knows. */
export function LastUsed({ instance }: { instance: Instance }) {
  const api = useApi(roadbedApiRef);
  const { loaded } = useLoad(`activity ${instance.id}`, () => api.getActivity(instance.id));
  switch (loaded.status) {
    case 'loading':
      return <>…</>;
    case 'error':
      return <>cannot be told right now</>;
    default:
      return <Told activity={loaded.data} />;
  }
}

function Told({ activity }: { activity: Activity }) {
  const { state, failure, measured_at: measuredAt, used_at: usedAt, since } = activity;
  if (state === 'not_measured' || !measuredAt) {
    return <>{failure ? `not measured: ${failure}` : 'not measured'}</>;
  }
  if (!usedAt) {
    return (
      <>
        no use seen since <Start at={since ?? measuredAt} />, measured <Moment at={measuredAt} />
      </>
    );
  }
  return (
    <>
      <Moment at={usedAt} />, measured <Moment at={measuredAt} />
    </>
  );
}

/** Start is a time after "since": the clock's today, the date before. */
function Start({ at }: { at: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={formatExact(date)}>
      {formatSince(date, new Date())}
    </time>
  );
}
