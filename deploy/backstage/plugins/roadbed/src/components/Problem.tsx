import { useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, ButtonLink, Text } from '@backstage/ui';
import { explainError, type Explanation } from '../api/explainError';
import { requestsRouteRef } from '../routes';
import { Findings } from './Findings';
import { Notice } from './Notice';

type Words = { title: string; advice: string };

/** Problem says that something could not be shown or done, whether that matters, and one thing to do next. */
export function Problem(props: { what: string; error: unknown; onRetry?(): void }) {
  const explained = explainError(props.error);
  const { title, advice } = describe(props.what, explained);
  const list = useRouteRef(requestsRouteRef)?.();
  const calm = explained.status === 403 || explained.status === 404;
  return (
    <Notice
      kind={calm ? 'info' : 'bad'}
      title={title}
      alert={!calm}
      actions={
        <>
          {props.onRetry && !calm && (
            <Button size="small" variant="secondary" onPress={props.onRetry}>
              Try again
            </Button>
          )}
          {calm && list && (
            <ButtonLink size="small" variant="secondary" href={list}>
              See all requests
            </ButtonLink>
          )}
        </>
      }
    >
      <Text as="p" variant="body-medium">
        {explained.message}
      </Text>
      {explained.details.length > 0 && (
        <ul>
          {explained.details.map(detail => (
            <li key={detail}>{detail}</li>
          ))}
        </ul>
      )}
      {explained.findings.length > 0 && <Findings findings={explained.findings} />}
      {(advice || explained.requestId) && (
        <Text as="p" variant="body-medium" color="secondary">
          {advice}
          {explained.requestId && ` Quote request ${explained.requestId} when you ask for help.`}
        </Text>
      )}
    </Notice>
  );
}

function describe(what: string, { status }: Explanation): Words {
  switch (status) {
    case 401:
      return { title: `You are signed out`, advice: 'Sign in again, then reload this page.' };
    case 403:
      // Whom to ask is what the sidecar says.
      return { title: `You may not see ${what}`, advice: '' };
    case 404:
      return {
        title: `Cannot find ${what}`,
        advice: 'The address may be mistyped, or what it named is gone.',
      };
    case 429:
    case 503:
    case undefined:
      return {
        title: `${sentence(what)} cannot be shown right now`,
        advice: 'What runs goes on running; only the view is missing. Try again in a moment.',
      };
    default:
      return {
        title: `${sentence(what)} could not be loaded`,
        advice: 'Nothing was changed. If it stays like this, tell the platform team what it says above.',
      };
  }
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
