import { explainError } from '../api/explainError';
import { Notice } from './Notice';
import { Problem } from './Problem';

/** Refusal says in a dialog why an answer was not taken: in the sidecar's own words where it is a no, else as a problem. */
export function Refusal({ error }: { error: unknown }) {
  if (error === undefined) {
    return null;
  }
  const { status, message } = explainError(error);
  if (status === 403 || status === 409) {
    return <Notice kind="info" alert title={message} />;
  }
  return <Problem what="your answer" error={error} />;
}
