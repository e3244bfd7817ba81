import { AuthenticationError, ConflictError, InputError, NotAllowedError, NotFoundError } from '@backstage/errors';
import { errorSchema, type Alternative, type ErrorBody, type Estimate, type Finding } from './wire.ts';

const LEVELS: Record<Finding['level'], string> = {
  deny: 'Denied',
  require_approval: 'Needs approval',
  warn: 'Warning',
  info: 'Note',
};

/** requestPath is where the portal shows a request. */
export function requestPath(id: string): string {
  return `/infrastructure/requests/${encodeURIComponent(id)}`;
}

/** findingLine is a finding on one line: how much it matters, what it is, how to get out of it, and which rule says so. */
export function findingLine({ level, message, path, way_out, rule }: Finding): string {
  const about = path ? `${path}: ` : '';
  const wayOut = way_out ? ` Way out: ${way_out}` : '';
  const by = rule ? ` [${rule}]` : '';
  return `${LEVELS[level]}: ${about}${message}${wayOut}${by}`;
}

/** priceText is an estimate for people, "$85.50 / month (compute $60.00, storage $25.50)", or "price not known". */
export function priceText(estimate: Estimate | null | undefined): string {
  if (!estimate) {
    return 'price not known';
  }
  const items = estimate.items.map(item => `${item.name} ${dollars(item.monthly_cost)}`).join(', ');
  return `${dollars(estimate.monthly_cost)} / month${items ? ` (${items})` : ''}`;
}

/** alternativesLines is what would be allowed, "Smallest changes that fit: turn off multi-AZ ($85.50)"; no line for none. */
export function alternativesLines(alternatives: Alternative[] | null | undefined): string[] {
  const each = (alternatives ?? []).map(({ text, monthly_cost }) => `${text} (${dollars(monthly_cost)})`);
  return each.length ? [`Smallest changes that fit: ${each.join('; ')}`] : [];
}

function dollars(amount: number): string {
  return amount.toLocaleString('en-US', { style: 'currency', currency: 'USD' });
}

/**
 * refusal is the error that a task ends with. Its message has every reason on a line of its own, because the message is
 * all that the task page shows. A body that is not Roadbed's is quoted, up to 300 characters.
 */
export function refusal(status: number, body: string): Error {
  return withoutStack(refusalOfKind(status, body));
}

/** withoutStack keeps the lines of our source out of the step's log, which shows a stack in place of a message. */
export function withoutStack(error: Error): Error {
  error.stack = `${error.name}: ${error.message}`;
  return error;
}

function refusalOfKind(status: number, body: string): Error {
  const parsed = errorSchema.safeParse(parseJson(body));
  if (!parsed.success) {
    return new Error(`Roadbed answered ${status}, but not in its own words: ${body.slice(0, 300) || '(nothing)'}`);
  }
  const message = explain(parsed.data.error);
  switch (status) {
    case 400:
      return new InputError(message);
    case 401:
      return new AuthenticationError(
        `${message}\nYour sign-in may have run out since the task was made. Reload the portal, then start the task again.`,
      );
    case 403:
      return new NotAllowedError(message);
    case 404:
      return new NotFoundError(message);
    case 409:
      return new ConflictError(message);
    default:
      return new Error(`Roadbed answered ${status}: ${message}`);
  }
}

function explain(error: ErrorBody): string {
  const findings = error.findings ?? [];
  // The message may be made of the findings' own; each is told once, with what else there is to say of it.
  const lines = error.message.split('\n').filter(line => !findings.some(finding => line.startsWith(finding.message)));
  for (const finding of findings) {
    lines.push(findingLine(finding));
  }
  for (const detail of error.details ?? []) {
    lines.push(detail.path ? `${detail.path}: ${detail.message}` : detail.message);
  }
  lines.push(...alternativesLines(error.alternatives));
  if (error.request_id) {
    lines.push(`Kept as request ${error.request_id}: ${requestPath(error.request_id)}`);
  }
  return lines.join('\n');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
