import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Select, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Pause, PauseStart } from '../api/types';
import { formatOwner } from '../format';
import { useAction } from '../hooks/useAction';
import { useLoad } from '../hooks/useLoad';
import { useMe } from '../hooks/useMe';
import { newIdempotencyKey } from '../idempotencyKey';
import { Moment } from './Moment';
import { Notice } from './Notice';
import { Panel } from './Panel';
import { PanelSkeleton } from './PanelSkeleton';
import { Problem } from './Problem';
import classes from './PolicyPage.module.css';

/** What can be paused besides an offering, whose key is `offering:` and its id. */
const EVERYTHING = 'everything';
const POOL = 'pool';

/** PauseBanner says what is paused, where people look for why nothing moves. It takes no room while nothing is. */
export function PauseBanner() {
  const api = useApi(roadbedApiRef);
  const { loaded } = useLoad('pauses', () => api.listPauses());
  const pauses = loaded.status === 'data' ? loaded.data : [];
  return (
    <>
      {pauses.map(pause => (
        <Notice key={pause.id} kind="waiting" title={`${sayPaused(pause)} is paused: ${pause.reason}`}>
          <Text as="p" variant="body-medium">
            What is asked for is accepted, and waits until {formatOwner(pause.by)} or a colleague resumes.
          </Text>
        </Notice>
      ))}
    </>
  );
}

/** Pauses is what is paused; the platform team pauses and resumes here. */
export function Pauses() {
  const api = useApi(roadbedApiRef);
  const isPlatformTeam = useMe()?.platform_team === true;
  const { loaded, reload } = useLoad('pauses', () => api.listPauses());
  if (loaded.status === 'loading') {
    return <PanelSkeleton title="Pauses" lines={2} />;
  }
  return (
    <Panel title="Pauses">
      {loaded.status === 'error' && <Problem what="the pauses" error={loaded.error} onRetry={reload} />}
      {loaded.status === 'data' && loaded.data.length === 0 && (
        <Text as="p" variant="body-medium" color="secondary" className={classes.line}>
          Nothing is paused.
        </Text>
      )}
      {loaded.status === 'data' && loaded.data.length > 0 && (
        <ul role="list" aria-label="Pauses" className={classes.items}>
          {loaded.data.map(pause => (
            <Row key={pause.id} pause={pause} mayResume={isPlatformTeam} onResumed={reload} />
          ))}
        </ul>
      )}
      {isPlatformTeam && <PauseForm onPaused={reload} />}
    </Panel>
  );
}

function Row({ pause, mayResume, onResumed }: { pause: Pause; mayResume: boolean; onResumed(): void }) {
  const api = useApi(roadbedApiRef);
  const resume = useAction(async () => {
    await api.endPause(pause.id);
    onResumed();
  });
  const what = sayPaused(pause);
  return (
    <li>
      <strong>
        {what}: {pause.reason}
      </strong>
      <span className={classes.quiet}>
        paused by {formatOwner(pause.by)} <Moment at={pause.at} />
      </span>
      {mayResume && (
        <span>
          <Button size="small" variant="secondary" isPending={resume.pending} onPress={resume.run} aria-label={`Resume ${what.toLowerCase()}`}>
            Resume
          </Button>
        </span>
      )}
      {resume.error !== undefined && <Problem what="the end of the pause" error={resume.error} />}
    </li>
  );
}

function PauseForm({ onPaused }: { onPaused(): void }) {
  const api = useApi(roadbedApiRef);
  const [what, setWhat] = useState(EVERYTHING);
  const [pool, setPool] = useState('');
  const [typed, setTyped] = useState('');
  const { loaded } = useLoad('offerings', () => api.listOfferings());
  const offerings = loaded.status === 'data' ? loaded.data.map(({ id, name }) => ({ value: `offering:${id}`, label: name })) : [];
  const reason = typed.trim();
  const target = targetOf(what, pool.trim());
  const isWhole = reason !== '' && target.name !== '';
  const pause = useAction(async () => {
    await api.beginPause({ ...target, reason }, newIdempotencyKey());
    setTyped('');
    setPool('');
    onPaused();
  });
  return (
    <form
      aria-label="Pause"
      onSubmit={event => {
        event.preventDefault();
        if (isWhole) {
          pause.run();
        }
      }}
    >
      <div className={classes.form}>
        <Select
          label="Pause"
          options={[{ value: EVERYTHING, label: 'Everything' }, { value: POOL, label: 'A pool of workers' }, ...offerings]}
          value={what}
          onChange={chosen => setWhat(String(chosen))}
        />
        {what === POOL && <TextField label="Name of the pool" value={pool} onChange={setPool} maxLength={63} />}
        <TextField label="Reason, which whoever waits reads" value={typed} onChange={setTyped} maxLength={500} />
        <Button type="submit" variant="secondary" isDisabled={!isWhole} isPending={pause.pending}>
          Pause
        </Button>
      </div>
      {pause.error !== undefined && <Problem what="the pause" error={pause.error} />}
    </form>
  );
}

function sayPaused({ kind, name }: Pause): string {
  if (kind === 'everything') {
    return 'Everything';
  }
  return kind === 'pool' ? `Pool ${name}` : name;
}

function targetOf(what: string, pool: string): Pick<PauseStart, 'kind' | 'name'> {
  if (what === EVERYTHING) {
    return { kind: 'everything' };
  }
  return what === POOL ? { kind: 'pool', name: pool } : { kind: 'offering', name: what.replace(/^offering:/, '') };
}
