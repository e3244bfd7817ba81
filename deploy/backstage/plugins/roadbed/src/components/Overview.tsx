import { useApi } from '@backstage/frontend-plugin-api';
import { Container, Skeleton, Text, VisuallyHidden } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Measures } from '../api/types';
import { formatDay } from '../format';
import { useFilters } from '../hooks/useFilters';
import { useLoad } from '../hooks/useLoad';
import { CreateButton, Empty } from './Empty';
import { Filter, FilterBar } from './FilterBar';
import { MeasureCard } from './OverviewCard';
import { Panel } from './Panel';
import { Problem } from './Problem';
import listClasses from './List.module.css';
import classes from './Overview.module.css';

const DEFAULT_DAYS = 30;
const PERIODS = [7, 90, 365].map(days => ({ value: `${days}`, label: `Last ${days} days` }));
const TITLES = [
  'Avg. provision time',
  'Self-service adoption',
  'Monthly cost savings',
  'Active resources',
  'Drift incidents',
  'Policy violations',
];

/** Overview is how the platform fares: six cards, what they are made of and what they mean. */
export function Overview() {
  const api = useApi(roadbedApiRef);
  const filters = useFilters(['days']);
  const days = readDays(filters.get('days'));
  const { loaded, reload } = useLoad(`measures ${days}`, () => api.getMeasures(days));
  return (
    <main>
      <Container>
        <div className={listClasses.list}>
          <FilterBar filters={filters}>
            <Filter filters={filters} name="days" label="Period" any={`Last ${DEFAULT_DAYS} days`} choices={PERIODS} />
          </FilterBar>
          {loaded.status === 'loading' && <OverviewSkeleton />}
          {loaded.status === 'error' && <Problem what="the overview" error={loaded.error} onRetry={reload} />}
          {loaded.status === 'data' && loaded.data.since === null && (
            <Empty title="Nothing has been asked for yet" action={<CreateButton />}>
              How long things take, what they save and what policy stops would be here, day by day.
            </Empty>
          )}
          {loaded.status === 'data' && loaded.data.since !== null && <Cards measures={loaded.data} />}
        </div>
      </Container>
    </main>
  );
}

/** readDays reads the address, where anything may stand. */
function readDays(text: string): number {
  const days = Number(text);
  return Number.isInteger(days) && days >= 1 && days <= 366 ? days : DEFAULT_DAYS;
}

function Cards({ measures }: { measures: Measures }) {
  const now = new Date(measures.until);
  const compared = measures.cards.some(({ before }) => before !== null);
  return (
    <>
      <Text as="p" variant="body-medium" color="secondary">
        {formatDay(new Date(measures.from), now)} until now; days are UTC’s.{' '}
        {compared
          ? `Compared with the ${measures.days} days before.`
          : `Nothing to compare with yet: history begins on ${formatDay(new Date(measures.since!), now)}.`}
      </Text>
      <VisuallyHidden>
        <h2>Measures</h2>
      </VisuallyHidden>
      <div className={classes.cards}>
        {measures.cards.map(card => (
          <MeasureCard key={card.name} measure={card} />
        ))}
      </div>
      <Text as="h2" variant="title-x-small" weight="bold">
        More
      </Text>
      <div className={classes.cards}>
        {measures.more.map(card => (
          <MeasureCard key={card.name} measure={card} />
        ))}
      </div>
    </>
  );
}

function OverviewSkeleton() {
  return (
    <div role="status" aria-label="Loading the overview" className={classes.cards}>
      {TITLES.map(title => (
        <Panel key={title} title={title}>
          <div className={classes.skeleton} aria-hidden="true">
            <Skeleton width="45%" height={36} />
            <Skeleton width="70%" height={16} />
            <Skeleton width="100%" height={48} />
          </div>
        </Panel>
      ))}
    </div>
  );
}
