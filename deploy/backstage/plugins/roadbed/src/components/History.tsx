import { useRouteRef } from '@backstage/frontend-plugin-api';
import { Link, Text } from '@backstage/ui';
import type { InfrastructureRequest } from '../api/types';
import { useMe } from '../hooks/useMe';
import { requestRouteRef } from '../routes';
import { actionSentence } from '../words';
import { Moment } from './Moment';
import { Panel } from './Panel';
import { RequestBadge } from './StateBadge';
import { Who } from './Who';
import classes from './History.module.css';

/** The sidecar gives an instance's newest twenty requests. */
const MOST = 20;

/** History lists an instance's requests, newest first. */
export function History({ requests }: { requests: InfrastructureRequest[] }) {
  const me = useMe();
  const requestRoute = useRouteRef(requestRouteRef);
  return (
    <Panel title="History">
      <ul role="list" aria-label="Requests" className={classes.requests}>
        {requests.map(request => (
          <li key={request.id} className={classes.request}>
            <span className={classes.what}>
              <Link href={requestRoute?.({ id: request.id }) ?? '#'} weight="bold">
                {actionSentence(request)}
              </Link>
              <Text variant="body-small" color="secondary">
                by <Who entityRef={request.requested_by} me={me?.subject} /> <Moment at={request.created_at} />
              </Text>
            </span>
            <RequestBadge state={request.state} />
          </li>
        ))}
      </ul>
      {requests.length >= MOST && (
        <Text as="p" variant="body-small" color="secondary" className={classes.line}>
          The newest {MOST} are shown.
        </Text>
      )}
    </Panel>
  );
}
