import { useState } from 'react';
import { Button, Text } from '@backstage/ui';
import type { Approval, InfrastructureRequest } from '../api/types';
import { formatMonthly, formatOwner } from '../format';
import { AnswerDialog, type Answer } from './AnswerDialog';
import { Facts, type Fact } from './Facts';
import { Findings } from './Findings';
import { Deadline, Moment } from './Moment';
import { Notice } from './Notice';
import { PlanDetails, planFacts } from './Plan';
import { Who } from './Who';
import classes from './ApprovalNotice.module.css';

type Props = {
  request: InfrastructureRequest;
  me: string | undefined;
  onAnswered(request: InfrastructureRequest): void;
  onOvertaken(): void;
};

/** ApprovalNotice is whom a request waits for and what exactly they approve, with the buttons for those who may. */
export function ApprovalNotice(props: Props) {
  const { request, me } = props;
  const { approval } = request;
  // Their way out is to ask for the approval that is being waited for.
  const reasons = request.findings
    .filter(finding => finding.level === 'require_approval')
    .map(finding => ({ ...finding, way_out: '' }));
  const mine = approval?.may_approve === true;
  return (
    <Notice kind="waiting" title={title(approval)} actions={mine && <Buttons {...props} />}>
      <Text as="p" variant="body-medium">
        {ownNote(request, me)} Nothing is made and nothing is charged until it is approved.
        {approval?.expires_at && (
          <>
            {' '}
            If nobody has approved, it is denied <Deadline at={approval.expires_at} />.
          </>
        )}
      </Text>
      {approval?.void && (
        <Text as="p" variant="body-medium">
          Earlier approvals no longer count: {approval.void}
        </Text>
      )}
      {approval && <Facts facts={facts(request, approval)} />}
      <PlanDetails request={request} />
      {reasons.length > 0 && <Findings findings={reasons} />}
      <Given approval={approval} />
    </Notice>
  );
}

/** Given lists who has approved, when and why. */
export function Given({ approval }: { approval: Approval | null }) {
  if (!approval || approval.given.length === 0) {
    return null;
  }
  return (
    <ul role="list" aria-label="Approvals" className={classes.list}>
      {approval.given.map(({ by, at, reason }) => (
        <li key={`${by} ${at}`}>
          Approved by <Who entityRef={by} /> <Moment at={at} />
          {reason && <>: {reason}</>}
        </li>
      ))}
    </ul>
  );
}

function Buttons({ request, onAnswered, onOvertaken }: Props) {
  const [answer, setAnswer] = useState<Answer>();
  const [open, setOpen] = useState(false);
  const begin = (chosen: Answer) => {
    setAnswer(chosen);
    setOpen(true);
  };
  return (
    <>
      <Button size="small" variant="primary" onPress={() => begin('approve')}>
        Approve
      </Button>
      <Button size="small" variant="secondary" onPress={() => begin('reject')}>
        Reject
      </Button>
      {answer && (
        <AnswerDialog
          request={request}
          answer={answer}
          open={open}
          onOpenChange={setOpen}
          onAnswered={onAnswered}
          onOvertaken={onOvertaken}
        />
      )}
    </>
  );
}

function facts(request: InfrastructureRequest, approval: Approval): Fact[] {
  const price = formatMonthly(request.monthly_cost);
  const found = planFacts(request);
  if (request.action !== 'destroy') {
    const higher = approval.ceiling !== null && approval.ceiling !== request.monthly_cost ? approval.ceiling : undefined;
    found.push({
      name: 'Price',
      value: higher === undefined ? price : `${price}; an approval holds up to ${formatMonthly(higher)}`,
    });
  }
  for (const { approvers, count, missing } of approval.needed) {
    found.push({ name: `By ${groups(approvers)}`, value: `${count - missing} of ${count} approved` });
  }
  return found;
}

function title(approval: Approval | null): string {
  if (!approval) {
    return 'Waiting for approval';
  }
  if (approval.may_approve) {
    return 'Waits for your approval';
  }
  const open = approval.needed.filter(({ missing }) => missing > 0);
  return open.length > 0 ? `Waits for ${open.map(({ approvers }) => groups(approvers)).join(' and ')}` : 'Waiting for approval';
}

function ownNote({ approval, requested_by: by, waiting }: InfrastructureRequest, me: string | undefined): string {
  if (!approval) {
    return waiting && `${waiting}.`;
  }
  if (me !== undefined && me === by) {
    return 'You cannot approve your own request.';
  }
  if (!approval.may_approve && me !== undefined && approval.given.some(given => given.by === me)) {
    return 'You have approved it; others have still to.';
  }
  return '';
}

function groups(approvers: string[]): string {
  return approvers.map(formatOwner).join(' or ');
}
