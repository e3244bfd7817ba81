import type { ReactNode } from 'react';
import { useApi, useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, ButtonLink, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest } from '../api/types';
import { formatDuration } from '../format';
import { useLoad } from '../hooks/useLoad';
import { formRouteRef } from '../routes';
import { EscapeHatch } from './EscapeHatch';
import { Findings } from './Findings';
import { Notice } from './Notice';
import { RetryButton } from './RetryButton';
import classes from './Outcome.module.css';

/** Outcome is how a request ended, in plain words, with the way on. */
export function Outcome(props: { request: InfrastructureRequest; onSeeLog?(): void; whenFailed?: ReactNode }) {
  const { request } = props;
  switch (request.state) {
    case 'denied':
      return <Denied request={request} />;
    case 'failed':
      return <Failed {...props} />;
    case 'cancelled':
      return (
        <Notice
          kind="answer"
          title="Cancelled"
          actions={
            <>
              <RetryButton request={request} />
              <AskAgain request={request} words="Change it and ask again" />
            </>
          }
        >
          <Text as="p" variant="body-medium">
            {request.cancel_reason || request.error?.message || 'It was stopped before it was done.'}
          </Text>
        </Notice>
      );
    default:
      return <Notice kind="good" title={`Completed in ${formatDuration(secondsTaken(request))}`} />;
  }
}

function Denied({ request }: { request: InfrastructureRequest }) {
  const api = useApi(roadbedApiRef);
  const offering = useLoad(request.offering, () => api.getOffering(request.offering)).loaded;
  const reasons = request.findings.filter(finding => finding.level === 'deny' || finding.level === 'require_approval');
  // Nobody's rule, but people: they said no, or nothing at all.
  const turnedDown = request.approval !== null && request.error && reasons.every(({ level }) => level !== 'deny');
  if (turnedDown) {
    return (
      <Notice kind="answer" title="Not approved" actions={<AskAgain request={request} words="Change it and ask again" />}>
        <Text as="p" variant="body-medium">
          {request.error?.message}
        </Text>
        <Text as="p" variant="body-medium">
          Nothing was made and nothing is charged. {request.error?.way_out}
        </Text>
        {reasons.length > 0 && <Findings findings={reasons} />}
      </Notice>
    );
  }
  return (
    <Notice
      kind="answer"
      title={`Not allowed in ${request.environment} as asked`}
      actions={<AskAgain request={request} words="Change it and ask again" />}
    >
      <Text as="p" variant="body-medium">
        Nothing was made and nothing is charged.{' '}
        {reasons.length === 0 && (request.error?.message || 'No reason was given; ask the platform team.')}
      </Text>
      {reasons.length > 0 && <Findings findings={reasons} />}
      {offering.status === 'data' && <EscapeHatch markdown={offering.data.escape_hatch} />}
    </Notice>
  );
}

function Failed({ request, onSeeLog, whenFailed }: Parameters<typeof Outcome>[0]) {
  const { error } = request;
  const at = error?.step ? `Failed at step ${error.step} of ${error.steps}: ${error.name}` : 'Failed';
  return (
    <Notice
      kind="bad"
      title={at}
      actions={
        <>
          <RetryButton request={request} />
          {onSeeLog && (
            <Button size="small" variant="secondary" onPress={onSeeLog}>
              See log
            </Button>
          )}
          <AskAgain request={request} words="Change it and ask again" />
          {whenFailed}
        </>
      }
    >
      {error && (
        <>
          <Text as="p" variant="body-medium">
            {error.message}
          </Text>
          {error.detail && (
            <figure className={classes.words}>
              <figcaption>What the provider said</figcaption>
              <pre tabIndex={0}>{error.detail}</pre>
            </figure>
          )}
          {error.way_out && (
            <Text as="p" variant="body-medium">
              What you can do: {error.way_out}
            </Text>
          )}
        </>
      )}
    </Notice>
  );
}

/** AskAgain leads to the offering's form, filled in as it was; what was secret has to be given anew. */
function AskAgain({ request, words }: { request: InfrastructureRequest; words: string }) {
  const form = useRouteRef(formRouteRef)?.({ namespace: 'default', templateName: request.offering });
  if (!form || request.action !== 'create') {
    return null;
  }
  const shown = Object.entries(request.parameters).filter(([, value]) => !isHidden(value));
  const formData = encodeURIComponent(JSON.stringify(Object.fromEntries(shown)));
  return (
    <ButtonLink size="small" variant="secondary" href={`${form}?formData=${formData}`}>
      {words}
    </ButtonLink>
  );
}

/** isHidden says that a parameter's value is kept from everyone: it is shown as {"set":true}. */
export function isHidden(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'set' in value && Object.keys(value).length === 1;
}

function secondsTaken(request: InfrastructureRequest): number {
  const finished = request.steps.map(step => Date.parse(step.finished_at ?? '')).filter(at => !Number.isNaN(at));
  const ended = finished.length > 0 ? Math.max(...finished) : Date.parse(request.updated_at);
  return (ended - Date.parse(request.created_at)) / 1000;
}
