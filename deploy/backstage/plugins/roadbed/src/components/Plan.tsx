import { Text } from '@backstage/ui';
import type { InfrastructureRequest, PlanSummary } from '../api/types';
import { formatMoney, formatMonthly } from '../format';
import { Facts, type Fact } from './Facts';
import classes from './ApprovalNotice.module.css';

/** planSentence counts what a plan does: "3 to add, 0 to change, 1 to remove". */
export function planSentence({ create, update, replace, delete: remove }: PlanSummary): string {
  const counts = `${create} to add, ${update} to change, ${remove} to remove`;
  return replace > 0 ? `${counts}, ${replace} to replace` : counts;
}

/** planFacts is what a request's plan does, and its price where that differs from the form's. */
export function planFacts(request: InfrastructureRequest): Fact[] {
  const plan = planOf(request);
  const price = sayPlanPrice(request);
  return [
    { name: 'Plan', value: plan ? planSentence(plan) : 'not known yet' },
    ...(price ? [{ name: "Plan's price", value: price }] : []),
  ];
}

/** Plan is what a request's plan does and costs, as soon as there is one. */
export function Plan({ request }: { request: InfrastructureRequest }) {
  if (!planOf(request)) {
    return null;
  }
  return (
    <section aria-label="Plan" className={classes.plan}>
      <Facts facts={planFacts(request)} />
      <PlanDetails request={request} />
    </section>
  );
}

/** PlanDetails is a plan resource by resource: what has no price, and, when opened, what changes. */
export function PlanDetails({ request }: { request: InfrastructureRequest }) {
  const changes = planOf(request)?.changes ?? [];
  // What is destroyed costs nothing any more, priced or not.
  const unpriced = request.action === 'destroy' ? [] : (request.plan_estimate?.unpriced ?? []);
  return (
    <>
      {unpriced.length > 0 && (
        <div>
          <Text as="p" variant="body-medium" className={classes.line}>
            No price includes:
          </Text>
          <ul role="list" aria-label="Without a price" className={classes.list}>
            {unpriced.map(({ address }) => (
              <li key={address}>
                <code>{address}</code>
              </li>
            ))}
          </ul>
        </div>
      )}
      {changes.length > 0 && (
        <details className={classes.changes}>
          <summary>What the plan changes</summary>
          <ul role="list" aria-label="Planned changes" className={classes.list}>
            {changes.map(({ address, action }) => (
              <li key={address}>
                {CHANGES[action] ?? action} <code>{address}</code>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

const CHANGES: Record<string, string> = { create: 'Add', update: 'Change', replace: 'Replace', delete: 'Remove' };

function planOf({ plan, approval }: InfrastructureRequest): PlanSummary | undefined {
  return plan ?? approval?.plan ?? undefined;
}

function sayPlanPrice({ action, estimate, plan_estimate: planned }: InfrastructureRequest): string | undefined {
  if (action === 'destroy' || !planned || planned.monthly_total === estimate?.monthly_total) {
    return undefined;
  }
  const price = formatMonthly(planned.monthly_cost);
  if (!estimate) {
    return price;
  }
  const more = planned.monthly_total - estimate.monthly_total;
  return `${price}, ${formatMoney(Math.abs(more))} ${more > 0 ? 'more' : 'less'} than the form said`;
}
