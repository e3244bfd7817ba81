import { ResponseError } from '@backstage/errors';
import type { ErrorInfo, Finding } from './types';

/** What went wrong, for people. */
export type Explanation = {
  /** status is the HTTP status, or undefined when no answer came. */
  status?: number;
  message: string;
  details: string[];
  findings: Finding[];
  /** requestId is the request that was stored with this answer, to quote when asking for help. */
  requestId?: string;
};

const NO_ANSWER = 'Roadbed does not answer at the moment. It may be starting again, or the network may be down.';

/** explainError finds the sidecar's own words in whatever was thrown. */
export function explainError(thrown: unknown): Explanation {
  if (ResponseError.is(thrown)) {
    // What stands between the browser and Roadbed has its own words for not reaching it.
    if (thrown.statusCode === 502 || thrown.statusCode === 504) {
      return { status: 503, message: NO_ANSWER, details: [], findings: [] };
    }
    const body = thrown.body.error as Partial<ErrorInfo>;
    return {
      status: thrown.statusCode,
      message: body.message || thrown.message,
      details: (body.details ?? []).map(detail => (detail.path ? `${detail.path}: ${detail.message}` : detail.message)),
      findings: body.findings ?? [],
      requestId: body.request_id,
    };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  // What browsers say when nobody answers is no help to anyone.
  const unreachable = /failed to fetch|networkerror|load failed/i.test(message);
  return {
    message: unreachable ? NO_ANSWER : message,
    details: [],
    findings: [],
  };
}
