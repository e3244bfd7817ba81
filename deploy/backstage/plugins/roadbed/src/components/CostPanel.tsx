import { Text } from '@backstage/ui';
import type { Estimate } from '../api/types';
import { formatField, formatMoney } from '../format';
import { Panel } from './Panel';
import classes from './CostPanel.module.css';

/** CostPanel is what something costs, item by item. */
export function CostPanel({ estimate }: { estimate: Estimate | undefined }) {
  if (!estimate) {
    return (
      <Panel title="Cost">
        <Text as="p" variant="body-medium" color="secondary" className={classes.line}>
          The price is not known.
        </Text>
      </Panel>
    );
  }
  return (
    <Panel title="Cost">
      <table className={classes.items} aria-label="Cost by item">
        <thead className={classes.head}>
          <tr>
            <th scope="col">Item</th>
            <th scope="col">Each month</th>
          </tr>
        </thead>
        <tbody>
          {estimate.items.map(item => (
            <tr key={item.name}>
              <th scope="row">{formatField(item.name)}</th>
              <td>{formatMoney(item.monthly_cost)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">Each month</th>
            <td>{formatMoney(estimate.monthly_cost)}</td>
          </tr>
        </tfoot>
      </table>
      <Text as="p" variant="body-small" color="secondary" className={classes.line}>
        {formatMoney(estimate.annual_cost)} a year. Estimated from the prices of the day it was asked for.
      </Text>
    </Panel>
  );
}
