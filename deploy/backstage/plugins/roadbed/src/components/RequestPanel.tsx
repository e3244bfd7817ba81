import { useRef, useState, type ReactNode } from 'react';
import { Text } from '@backstage/ui';
import type { InfrastructureRequest } from '../api/types';
import { useMe } from '../hooks/useMe';
import type { Load } from '../hooks/useLoad';
import { actionSentence, hasEnded, requestWord } from '../words';
import { Announcement } from './Announcement';
import { CancelButton } from './CancelButton';
import { Expected } from './Expected';
import { LogView } from './LogView';
import { Moment } from './Moment';
import { Outcome } from './Outcome';
import { Panel } from './Panel';
import { Plan } from './Plan';
import { Problem } from './Problem';
import { RequestBadge } from './StateBadge';
import { Steps, stepWord } from './Steps';
import { Waiting } from './Waiting';
import { Who } from './Who';
import classes from './RequestPanel.module.css';

/** RequestPanel is one request as it goes: who asked for what, how far it has come, and what can be done about it. */
export function RequestPanel(props: {
  request: InfrastructureRequest;
  load: Load<InfrastructureRequest>;
  title: string;
  /** whenFailed is offered beside the other ways on when it has failed. */
  whenFailed?: ReactNode;
}) {
  const { request, load } = props;
  const me = useMe();
  const lead = useRef<HTMLDivElement>(null);
  const [logOpen, setLogOpen] = useState(false);
  const ended = hasEnded(request.state);
  const stale = load.loaded.status === 'data' ? load.loaded.stale : undefined;
  return (
    <Panel title={props.title} aside={<RequestBadge state={request.state} />}>
      <div ref={lead} tabIndex={-1} className={classes.lead}>
        <Text as="p" variant="body-medium" color="secondary" className={classes.asked}>
          {actionSentence(request)}, asked by <Who entityRef={request.requested_by} me={me?.subject} /> <Moment at={request.created_at} />
        </Text>
      </div>
      <Announcement>{announce(request)}</Announcement>
      {stale !== undefined && <Problem what="the newest state" error={stale} onRetry={load.reload} />}
      {!ended && (
        <Waiting
          request={request}
          me={me?.subject}
          onAnswered={answered => {
            load.replace(answered);
            // The buttons may be gone with the answer, and the focus with them.
            lead.current?.focus();
          }}
          onOvertaken={load.reload}
        />
      )}
      {ended && (
        <Outcome
          request={request}
          onSeeLog={logOpen ? undefined : () => setLogOpen(true)}
          whenFailed={props.whenFailed}
        />
      )}
      {/* Whoever may approve reads the plan in what they are asked. */}
      {request.state !== 'awaiting_approval' && <Plan request={request} />}
      {!ended && <Expected request={request} />}
      {request.steps.length > 0 && request.state !== 'denied' && <Steps steps={request.steps} />}
      {!ended && !request.approval?.may_approve && (
        <div className={classes.actions}>
          <CancelButton request={request} onCancelled={load.replace} />
        </div>
      )}
      {request.state !== 'denied' && (
        <LogView requestId={request.id} ended={ended} open={logOpen} onOpenChange={setLogOpen} />
      )}
    </Panel>
  );
}

function announce(request: InfrastructureRequest): string {
  const what = actionSentence(request);
  const current =
    request.steps.find(step => step.status === 'in_progress') ?? request.steps.findLast(step => step.status !== 'pending');
  if (hasEnded(request.state) || !current) {
    return `${what}: ${requestWord(request.state).word}`;
  }
  return `${what}: step ${current.step} of ${request.steps.length}, ${current.name}, ${stepWord(current.status)}`;
}
