import { Skeleton } from '@backstage/ui';
import { Panel } from './Panel';
import classes from './PanelSkeleton.module.css';

/** PanelSkeleton keeps a panel's place while what belongs there is on its way. */
export function PanelSkeleton({ title, lines }: { title: string; lines: number }) {
  return (
    <Panel title={title}>
      <div className={classes.lines} aria-hidden="true">
        {Array.from({ length: lines }, (_, line) => (
          <Skeleton key={line} width={line % 2 === 0 ? '85%' : '60%'} height={16} />
        ))}
      </div>
    </Panel>
  );
}
