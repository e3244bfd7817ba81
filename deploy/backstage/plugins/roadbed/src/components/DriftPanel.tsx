import { useEffect, useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Text } from '@backstage/ui';
import { explainError } from '../api/explainError';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Drift, DriftDifference, Instance } from '../api/types';
import { formatOwner, formatValue } from '../format';
import { useAction } from '../hooks/useAction';
import { useLoad } from '../hooks/useLoad';
import { DriftDialog, type DriftAnswer } from './DriftDialog';
import { Deadline, Moment } from './Moment';
import { Notice } from './Notice';
import { Panel } from './Panel';
import { PanelSkeleton } from './PanelSkeleton';
import { Problem } from './Problem';
import classes from './Drift.module.css';

/** A check takes a worker some seconds; until one is due there is nothing to wait for. */
const LOOK_AGAIN_MS = 1_500;

/** DriftPanel is whether an instance still is what was asked for, and what to do where it is not. */
export function DriftPanel({ instance }: { instance: Instance }) {
  const api = useApi(roadbedApiRef);
  const { loaded, reload, replace } = useLoad(`drift ${instance.id} ${instance.generation}`, () => api.getDrift(instance.id));
  const [answer, setAnswer] = useState<DriftAnswer>();
  const check = useAction(async () => replace(await api.checkDrift(instance.id)));
  const drift = loaded.status === 'data' ? loaded.data : undefined;
  const checking = drift !== undefined && isChecking(drift);

  useEffect(() => {
    if (!checking) {
      return undefined;
    }
    const timer = setInterval(reload, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [checking, reload]);

  if (loaded.status === 'loading') {
    return <PanelSkeleton title="Drift" lines={2} />;
  }
  const refused = check.error === undefined ? undefined : explainError(check.error);
  return (
    <Panel
      title="Drift"
      aside={
        instance.state === 'ready' && (
          <Button size="small" variant="secondary" isPending={check.pending || checking} onPress={check.run}>
            Check now
          </Button>
        )
      }
    >
      {loaded.status === 'error' && <Problem what="the drift" error={loaded.error} onRetry={reload} />}
      {refused?.status === 409 && <Notice kind="info" alert title={refused.message} />}
      {refused && refused.status !== 409 && <Problem what="the check" error={check.error} />}
      {drift && <Found drift={drift} checking={checking} mayAnswer={instance.state === 'ready'} onAnswer={setAnswer} />}
      {drift && answer && (
        <DriftDialog
          instance={instance}
          drift={drift}
          answer={answer}
          onClose={() => setAnswer(undefined)}
          onSuppressed={suppressed => {
            setAnswer(undefined);
            replace(suppressed);
          }}
        />
      )}
    </Panel>
  );
}

function isChecking({ check }: Drift): boolean {
  return check.running || (check.due_at !== undefined && Date.parse(check.due_at) <= Date.now());
}

function Found(props: { drift: Drift; checking: boolean; mayAnswer: boolean; onAnswer(answer: DriftAnswer): void }) {
  const { drift, checking, mayAnswer, onAnswer } = props;
  const { check, adoption, suppressed } = drift;
  return (
    <div className={classes.body}>
      <p role="status" className={classes.line}>
        {checking ? 'Being checked …' : <Standing drift={drift} />}
      </p>
      {check.failure && <Notice kind="bad" title={`The newest check could not tell: ${check.failure}`} />}
      {drift.has_drift && (
        <ul role="list" aria-label="Differences" className={classes.list}>
          {drift.differences?.map((difference, index) => (
            <li key={`${difference.address} ${difference.attribute}`}>
              <strong>{drift.titles?.[index]}</strong>
              <Asked difference={difference} />
            </li>
          ))}
          {drift.more ? <li>and {drift.more} more</li> : null}
        </ul>
      )}
      {suppressed && (
        <Text as="p" variant="body-medium" color="secondary">
          Suppressed until <Deadline at={suppressed.until} /> by {formatOwner(suppressed.by)}: {suppressed.reason}
        </Text>
      )}
      {drift.has_drift && adoption && (
        <Text as="p" variant="body-medium">
          {adoption.possible ? `To adopt it: ${adoption.summary}` : `It cannot be adopted. ${adoption.summary}`}
        </Text>
      )}
      {drift.has_drift && adoption && mayAnswer && (
        <div className={classes.actions}>
          <Button size="small" variant="primary" onPress={() => onAnswer('revert')}>
            Revert
          </Button>
          <Button
            size="small"
            variant="secondary"
            isDisabled={!adoption.possible || adoption.outcome === 'deny'}
            onPress={() => onAnswer('adopt')}
          >
            Adopt
          </Button>
          <Button size="small" variant="secondary" onPress={() => onAnswer('suppress')}>
            Suppress until …
          </Button>
        </div>
      )}
    </div>
  );
}

function Standing({ drift }: { drift: Drift }) {
  if (drift.has_drift && drift.detected_at) {
    return (
      <>
        It differs from what was asked for, found <Moment at={drift.detected_at} />.
      </>
    );
  }
  if (!drift.check.checked_at) {
    return <>It has not been checked yet.</>;
  }
  return (
    <>
      It is as it was asked for, checked <Moment at={drift.check.checked_at} />.
    </>
  );
}

function Asked({ difference }: { difference: DriftDifference }) {
  if (difference.kind !== 'changed' || !difference.attribute) {
    return null;
  }
  return <span className={classes.quiet}>asked for: {formatValue(difference.expected)}</span>;
}
