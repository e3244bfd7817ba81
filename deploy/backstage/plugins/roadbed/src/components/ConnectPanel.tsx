import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Link, Text } from '@backstage/ui';
import { RiEyeLine, RiEyeOffLine } from '@remixicon/react';
import { explainError } from '../api/explainError';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Credentials, Instance } from '../api/types';
import { formatField, formatOwner, formatValue } from '../format';
import { useAction } from '../hooks/useAction';
import { isGone, LAST_SNAPSHOT, lastSnapshot } from '../words';
import { CopyButton } from './CopyButton';
import { Facts } from './Facts';
import { Notice } from './Notice';
import { Panel } from './Panel';
import { Problem } from './Problem';
import classes from './ConnectPanel.module.css';

/** People look for these first; whatever else there is follows as it comes. */
const ORDER = ['endpoint', 'host', 'port', 'database', 'database_name', 'username', 'user'];
const KNOWN = new Set(ORDER.map(formatField));
const HIDDEN = '••••••••••';

/** ConnectPanel is how to reach an instance. Its password is asked for, and never kept, when someone wants to see it. */
export function ConnectPanel({ instance, docs }: { instance: Instance; docs?: string }) {
  const api = useApi(roadbedApiRef);
  const [credentials, setCredentials] = useState<Credentials>();
  const open = useAction(async () => setCredentials(await api.openCredentials(instance.id)));
  const snapshot = instance.state === 'destroyed' ? lastSnapshot(instance) : undefined;
  const outputs = Object.entries(instance.outputs ?? {}).filter(([name]) => name !== LAST_SNAPSHOT);

  if (outputs.length === 0 || isGone(instance.state)) {
    return (
      <Panel title="Connect">
        <Text as="p" variant="body-medium" color="secondary" className={classes.line}>
          {isGone(instance.state)
            ? 'There is nothing to connect to any more.'
            : `The endpoint and the credentials appear here when ${instance.name} is ready.`}
        </Text>
        {snapshot && (
          <Facts facts={[{ name: 'Last snapshot', value: snapshot, after: <CopyButton what="last snapshot" text={snapshot} /> }]} />
        )}
      </Panel>
    );
  }

  // What has logins says among its outputs where they are kept; a page on the web, for one, has none.
  const hasCredentials = outputs.some(([name]) => name.includes('credentials'));
  const links = outputs.filter(([, value]) => isLink(value));
  const facts = [...connection(outputs, credentials)].map(([name, value]) => ({
    name: formatField(name),
    value: isSecret(name) ? <code>{formatValue(value)}</code> : formatValue(value),
    after: <CopyButton what={formatField(name).toLowerCase()} text={formatValue(value)} />,
  }));
  if (hasCredentials) {
    facts.splice(facts.findLastIndex(({ name }) => KNOWN.has(name)) + 1, 0, {
      name: 'Password',
      value: credentials === undefined ? <span aria-label="hidden">{HIDDEN}</span> : <code>{formatValue(credentials.password)}</code>,
      after:
        credentials === undefined ? (
          <Button
            size="small"
            variant="secondary"
            iconStart={<RiEyeLine />}
            isPending={open.pending}
            onPress={open.run}
            aria-label="Show password"
          >
            Show
          </Button>
        ) : (
          <>
            <CopyButton what="password" text={formatValue(credentials.password)} />
            <Button
              size="small"
              variant="secondary"
              iconStart={<RiEyeOffLine />}
              onPress={() => setCredentials(undefined)}
              aria-label="Hide password"
            >
              Hide
            </Button>
          </>
        ),
    });
  }

  return (
    <Panel title="Connect">
      <Facts facts={facts} />
      {hasCredentials && (
        <Text as="p" variant="body-small" color="secondary" className={classes.line}>
          Each opening is recorded, with your name and the time.
        </Text>
      )}
      {open.error !== undefined && <Refused instance={instance} error={open.error} />}
      {(links.length > 0 || docs) && (
        <ul role="list" aria-label="Links" className={classes.links}>
          {links.map(([name, value]) => (
            <li key={name}>
              <Link href={String(value)} target="_blank" rel="noopener noreferrer">
                {formatField(name)}
              </Link>
            </li>
          ))}
          {docs && (
            <li>
              <Link href={docs} target="_blank" rel="noopener noreferrer">
                Documentation
              </Link>
            </li>
          )}
        </ul>
      )}
    </Panel>
  );
}

function Refused({ instance, error }: { instance: Instance; error: unknown }) {
  const { status, message } = explainError(error);
  if (status === 403) {
    return (
      <Notice kind="info" title={`Only ${formatOwner(instance.owner)} may open these`}>
        <Text as="p" variant="body-medium">
          Ask them for access. {message}
        </Text>
      </Notice>
    );
  }
  if (status === 404) {
    return <Notice kind="info" title={`${instance.name} has no credentials yet`} />;
  }
  return <Problem what="the password" error={error} />;
}

/** What one connects with, the usual things first. Links stand apart, and a name that only Roadbed can follow is no help. */
function connection(outputs: [string, unknown][], credentials: Credentials | undefined): Map<string, unknown> {
  const all = [...outputs, ...Object.entries(credentials ?? {})].filter(
    ([name, value]) => name !== 'password' && !isLink(value) && !String(value).startsWith('roadbed://'),
  );
  const fields = new Map(all.sort(([a], [b]) => rank(a) - rank(b)));
  if (fields.get('host') === fields.get('endpoint')) {
    fields.delete('host');
  }
  return fields;
}

function isLink(value: unknown): boolean {
  return typeof value === 'string' && /^https?:\/\//.test(value);
}

function isSecret(name: string): boolean {
  return /password|secret|token/.test(name);
}

function rank(name: string): number {
  const at = ORDER.indexOf(name);
  return at < 0 ? ORDER.length : at;
}
