import { useMemo } from 'react';
import {
  RiCheckboxCircleFill,
  RiCircleLine,
  RiCloseCircleFill,
  RiLoader4Line,
  type RemixiconComponentType,
} from '@remixicon/react';
import type { Step, StepStatus } from '../api/types';
import { formatDuration, formatRunning } from '../format';
import { useNow } from '../hooks/useNow';
import classes from './Steps.module.css';

const STATUSES: Record<StepStatus, { word: string; Icon: RemixiconComponentType }> = {
  pending: { word: 'pending', Icon: RiCircleLine },
  in_progress: { word: 'in progress', Icon: RiLoader4Line },
  completed: { word: 'completed', Icon: RiCheckboxCircleFill },
  failed: { word: 'failed', Icon: RiCloseCircleFill },
};

/** stepWord is a step's status as people say it. */
export function stepWord(status: StepStatus): string {
  return STATUSES[status].word;
}

/** Steps lists the parts of a request, as far as they have come. */
export function Steps({ steps }: { steps: Step[] }) {
  return (
    <ol role="list" aria-label="Steps" className={classes.steps}>
      {steps.map(step => {
        const { word, Icon } = STATUSES[step.status];
        return (
          <li
            key={step.step}
            className={classes.step}
            data-status={step.status}
            aria-label={`${step.step} ${step.name}: ${word}`}
            aria-current={step.status === 'in_progress' ? 'step' : undefined}
          >
            <Icon className={classes.icon} aria-hidden="true" />
            <span className={classes.name}>
              <span className={classes.number}>{step.step}</span> {step.name}
              {step.details && <span className={classes.details}>{step.details}</span>}
              {step.stalled && (
                <span className={classes.details}>
                  {step.stalled.message}
                  {step.stalled.last_line && `: ${step.stalled.last_line}`}
                </span>
              )}
            </span>
            <span className={classes.duration}>
              {step.status === 'in_progress' && <RunningDuration seconds={step.duration_seconds ?? 0} />}
              {step.status === 'failed' && (step.duration_seconds === null ? 'failed' : 'failed after ')}
              {step.status !== 'in_progress' && step.duration_seconds !== null && formatDuration(step.duration_seconds)}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

/** Counted on from what the sidecar said, so that the browser's clock need not agree with it. */
function RunningDuration({ seconds }: { seconds: number }) {
  const now = useNow(1000);
  const since = useMemo(() => ({ at: Date.now(), seconds }), [seconds]);
  return <>{formatRunning(since.seconds + Math.max(0, now.getTime() - since.at) / 1000)}</>;
}
