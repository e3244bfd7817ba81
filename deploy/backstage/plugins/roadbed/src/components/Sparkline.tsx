import type { Measure } from '../api/types';
import { describeDays, formatMeasure } from '../measure';
import classes from './Overview.module.css';

const HEIGHT = 40;
/** Of each day's room, so that neighbours stay apart. */
const BAR = 0.7;

/** Sparkline draws a bar for each day; a day without a value has none. It is described in words. */
export function Sparkline({ measure }: { measure: Measure }) {
  const highest = Math.max(...measure.days.map(({ value }) => value ?? 0));
  return (
    <svg
      className={classes.sparkline}
      viewBox={`0 0 ${measure.days.length} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={describeDays(measure)}
    >
      {measure.days.map(({ date, value }, index) => {
        if (value === null) {
          return null;
        }
        const height = highest === 0 ? 0 : (value / highest) * (HEIGHT - 1);
        return (
          <rect key={date} x={index + (1 - BAR) / 2} y={HEIGHT - 1 - height} width={BAR} height={height + 1}>
            <title>{`${date}: ${formatMeasure(value, measure.unit)}`}</title>
          </rect>
        );
      })}
    </svg>
  );
}
