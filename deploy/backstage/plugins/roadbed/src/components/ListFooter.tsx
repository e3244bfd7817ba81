import { Button, Text } from '@backstage/ui';
import type { Pages } from '../hooks/usePages';
import { Announcement } from './Announcement';
import { Problem } from './Problem';
import classes from './List.module.css';

/** ListFooter says how much of a list is shown, and brings more. */
export function ListFooter<T>(props: {
  pages: Extract<Pages<T>, { status: 'data' }>;
  one: string;
  many: string;
  extra?: string;
  onMore(): void;
  onReload(): void;
}) {
  const { rows, next, loadingMore, moreError } = props.pages;
  const shown = `${rows.length} ${rows.length === 1 ? props.one : props.many} shown`;
  return (
    <div className={classes.footer}>
      <Text variant="body-medium" color="secondary">
        {shown}
        {props.extra && `, ${props.extra}`}
      </Text>
      <Announcement>{shown}</Announcement>
      <Button size="small" variant="tertiary" onPress={props.onReload}>
        Refresh
      </Button>
      {next && (
        <Button size="small" variant="secondary" isPending={loadingMore} onPress={props.onMore}>
          Load more
        </Button>
      )}
      {moreError !== undefined && <Problem what={`more ${props.many}`} error={moreError} onRetry={props.onMore} />}
    </div>
  );
}
