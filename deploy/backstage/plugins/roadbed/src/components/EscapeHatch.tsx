import { lazy, Suspense } from 'react';
import { Text } from '@backstage/ui';
import classes from './EscapeHatch.module.css';

// Few ever need it: it comes with the first denial.
const Markdown = lazy(async () => ({ default: (await import('@backstage/core-components')).MarkdownContent }));

/** EscapeHatch is how to get what an offering does not do, in the offering's own words. */
export function EscapeHatch({ markdown }: { markdown: string | undefined }) {
  if (!markdown) {
    return null;
  }
  return (
    <div className={classes.hatch}>
      <Text variant="body-small" color="secondary" weight="bold">
        Does this not fit?
      </Text>
      <Suspense fallback={null}>
        <Markdown content={markdown} dialect="common-mark" linkTarget="_blank" className={classes.words} />
      </Suspense>
    </div>
  );
}
