import { useEffect, useRef, useState } from 'react';
import { Accordion, AccordionPanel, AccordionTrigger, Button, Skeleton, Text } from '@backstage/ui';
import { formatExact } from '../format';
import { useLog } from '../hooks/useLog';
import { CopyButton } from './CopyButton';
import { Problem } from './Problem';
import classes from './LogView.module.css';

/** LogView is a request's log. It is read when opened, and follows its end until someone scrolls up. */
export function LogView(props: { requestId: string; ended: boolean; open: boolean; onOpenChange(open: boolean): void }) {
  return (
    <Accordion isExpanded={props.open} onExpandedChange={props.onOpenChange} className={classes.accordion}>
      <AccordionTrigger level={4} title="Log" subtitle={props.ended ? undefined : 'live'} />
      <AccordionPanel>{props.open && <Lines requestId={props.requestId} ended={props.ended} />}</AccordionPanel>
    </Accordion>
  );
}

function Lines({ requestId, ended }: { requestId: string; ended: boolean }) {
  const { lines, loading, cut, error } = useLog(requestId, true, ended);
  const box = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(!ended);

  useEffect(() => {
    if (following && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [following, lines]);

  if (loading) {
    return (
      <div role="status" aria-label="Loading the log" className={classes.waiting}>
        <Skeleton width="70%" height={14} />
        <Skeleton width="55%" height={14} />
        <Skeleton width="80%" height={14} />
      </div>
    );
  }
  if (error !== undefined && lines.length === 0) {
    return <Problem what="the log" error={error} />;
  }
  if (lines.length === 0) {
    return (
      <Text as="p" variant="body-medium" color="secondary">
        {ended ? 'Nothing was written.' : 'Nothing yet. Lines appear here as they are written.'}
      </Text>
    );
  }
  const watchScroll = () => {
    const element = box.current;
    if (element) {
      setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < 8);
    }
  };
  return (
    <div className={classes.log}>
      {cut && (
        <Text as="p" variant="body-small" color="secondary">
          Only the newest lines are shown.
        </Text>
      )}
      {/* Read on demand: a screen reader that spoke each line would never stop. */}
      <div ref={box} role="log" aria-live="off" aria-label="Log" tabIndex={0} className={classes.lines} onScroll={watchScroll}>
        {lines.map(line => (
          <div key={line.position} className={classes.line}>
            <time dateTime={line.at} title={formatExact(new Date(line.at))} className={classes.time}>
              {line.at.slice(11, 19)}
            </time>
            <span className={classes.text}>{line.text}</span>
          </div>
        ))}
      </div>
      <div className={classes.tools}>
        <CopyButton what="the log" text={lines.map(line => `${line.at} ${line.text}`).join('\n')} />
        {!ended && (
          <Button size="small" variant="tertiary" isDisabled={following} onPress={() => setFollowing(true)}>
            {following ? 'Following the end' : 'Follow the end'}
          </Button>
        )}
      </div>
    </div>
  );
}
