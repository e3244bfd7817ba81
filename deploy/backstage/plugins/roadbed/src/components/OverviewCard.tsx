import { Text } from '@backstage/ui';
import { RiArrowDownLine, RiArrowUpLine, RiEqualLine } from '@remixicon/react';
import type { Measure } from '../api/types';
import { formatField } from '../format';
import { formatMeasure } from '../measure';
import { Facts } from './Facts';
import { Panel } from './Panel';
import { Sparkline } from './Sparkline';
import classes from './Overview.module.css';

const PARTS: Record<string, string> = {
  p95: '95th percentile',
  self_service: 'Self-service requests',
  smaller_asks: 'Smaller asks after a denial',
  lowered: 'Changes that cost less',
  removed: 'Removed',
  monthly_cost: 'Their price',
  differ_now: 'Differ now',
};

/** MeasureCard is one number: how it stands, how it has changed, each day of it, and on demand what it means. */
export function MeasureCard({ measure }: { measure: Measure }) {
  return (
    <Panel title={measure.title}>
      <div className={classes.figure}>
        <span className={classes.value}>
          {measure.value === null ? 'Not measured' : formatMeasure(measure.value, measure.unit)}
        </span>
        <Trend measure={measure} />
      </div>
      {measure.days.length > 0 && <Sparkline measure={measure} />}
      {measure.why && (
        <Text as="p" variant="body-small" color="secondary">
          {measure.why}
        </Text>
      )}
      {measure.parts.length > 0 && (
        <Facts
          facts={measure.parts.map(part => ({
            name: PARTS[part.name] ?? formatField(part.name),
            value: formatMeasure(part.value, part.unit),
          }))}
        />
      )}
      <details className={classes.definition}>
        <summary>What this counts</summary>
        <Text as="p" variant="body-small">
          {measure.definition}
        </Text>
      </details>
    </Panel>
  );
}

function Trend({ measure: { trend, better, before, unit } }: { measure: Measure }) {
  if (trend === '' || before === null) {
    return null;
  }
  if (trend === 'same') {
    return (
      <span className={classes.trend}>
        <RiEqualLine className={classes.icon} aria-hidden="true" /> as before
      </span>
    );
  }
  const Icon = trend === 'up' ? RiArrowUpLine : RiArrowDownLine;
  const judged = better && (trend === better ? 'better' : 'worse');
  return (
    <span className={classes.trend} data-judged={judged}>
      <Icon className={classes.icon} aria-hidden="true" /> {trend} from {formatMeasure(before, unit)}
      {judged && `, ${judged}`}
    </span>
  );
}
