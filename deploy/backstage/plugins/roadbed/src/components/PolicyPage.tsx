import type { ReactNode } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Container, Text, VisuallyHidden } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { CalendarEntry, Exemption } from '../api/types';
import { formatExact, formatOwner } from '../format';
import { useLoad, type Load } from '../hooks/useLoad';
import { Pauses } from './Pauses';
import { Panel } from './Panel';
import { PanelSkeleton } from './PanelSkeleton';
import { Problem } from './Problem';
import list from './List.module.css';
import classes from './PolicyPage.module.css';

/** PolicyPage is what holds requests up or lets them through beside the rules: pauses, the calendar and exemptions. */
export function PolicyPage() {
  const api = useApi(roadbedApiRef);
  const calendar = useLoad('calendar', () => api.listCalendar());
  const exemptions = useLoad('exemptions', () => api.listExemptions());
  return (
    <main>
      <Container>
        <div className={list.list}>
          <VisuallyHidden>
            <h2>What holds requests up or lets them through</h2>
          </VisuallyHidden>
          <Pauses />
          <Section title="Freezes and windows" what="the calendar" load={calendar} empty="None in the next 30 days: what is asked for is carried out at any time.">
            {(entry: CalendarEntry) => <Entry key={`${entry.kind} ${entry.environment} ${entry.from}`} entry={entry} />}
          </Section>
          <Section title="Exemptions" what="the exemptions" load={exemptions} empty="None: every rule counts for everyone.">
            {(exemption: Exemption) => <Lifted key={JSON.stringify(exemption)} exemption={exemption} />}
          </Section>
        </div>
      </Container>
    </main>
  );
}

function Section<T>(props: { title: string; what: string; load: Load<T[]>; empty: string; children(item: T): ReactNode }) {
  const { title, what, load, empty, children } = props;
  const { loaded, reload } = load;
  if (loaded.status === 'loading') {
    return <PanelSkeleton title={title} lines={2} />;
  }
  return (
    <Panel title={title}>
      {loaded.status === 'error' && <Problem what={what} error={loaded.error} onRetry={reload} />}
      {loaded.status === 'data' && loaded.data.length === 0 && (
        <Text as="p" variant="body-medium" color="secondary" className={classes.line}>
          {empty}
        </Text>
      )}
      {loaded.status === 'data' && loaded.data.length > 0 && (
        <ul role="list" aria-label={title} className={classes.items}>
          {loaded.data.map(children)}
        </ul>
      )}
    </Panel>
  );
}

function Entry({ entry }: { entry: CalendarEntry }) {
  const freeze = entry.kind === 'freeze';
  return (
    <li>
      <strong>{freeze ? `${entry.environment} is frozen: ${entry.name}` : `${entry.environment} may be changed`}</strong>
      <span className={classes.quiet}>
        from {formatExact(new Date(entry.from))} until {formatExact(new Date(entry.until))}
        {entry.reason && `, because ${entry.reason}`}
      </span>
    </li>
  );
}

const STATES = { planned: 'planned', active: 'in force', expired: 'expired' };

function Lifted({ exemption }: { exemption: Exemption }) {
  const { rule, owner, offering, environment, name, state } = exemption;
  const scope = [owner && formatOwner(owner), offering, environment, name].filter(Boolean).join(', ') || 'everyone';
  return (
    <li>
      <strong>
        {rule} for {scope}: {STATES[state]}
      </strong>
      <span className={classes.quiet}>
        from {exemption.from} until {exemption.until}, granted by {formatOwner(exemption.granted_by)}: {exemption.reason}
      </span>
    </li>
  );
}
