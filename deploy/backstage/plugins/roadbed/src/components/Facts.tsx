import type { ReactNode } from 'react';
import classes from './Facts.module.css';

/** A name and its value. */
export type Fact = { name: string; value: ReactNode; after?: ReactNode };

/** Facts lists names and values. As a `row` they stand side by side, else one under the other. */
export function Facts({ facts, row = false }: { facts: Fact[]; row?: boolean }) {
  return (
    <dl className={row ? classes.row : classes.list}>
      {facts.map(fact => (
        <div key={fact.name} className={classes.fact}>
          <dt className={classes.name}>{fact.name}</dt>
          <dd className={classes.value}>
            <span className={classes.text}>{fact.value}</span>
            {fact.after}
          </dd>
        </div>
      ))}
    </dl>
  );
}
