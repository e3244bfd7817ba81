import { useState } from 'react';
import { useApi, useAppNavigate, useAppSearchParams, useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, Checkbox, Link, Skeleton, Text } from '@backstage/ui';
import { RiArrowLeftLine } from '@remixicon/react';
import { explainError } from '../api/explainError';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Instance, Offering } from '../api/types';
import { Facts } from '../components/Facts';
import { Notice } from '../components/Notice';
import { Panel } from '../components/Panel';
import { PanelSkeleton } from '../components/PanelSkeleton';
import { Problem } from '../components/Problem';
import { InstanceBadge } from '../components/StateBadge';
import { Who } from '../components/Who';
import page from '../components/Page.module.css';
import { JudgedPage } from '../form/FormPage';
import { VerdictView } from '../form/Verdict';
import { formatMonthly } from '../format';
import { useAction } from '../hooks/useAction';
import { useLoad } from '../hooks/useLoad';
import { useStatusRoute } from '../hooks/useStatusRoute';
import { newIdempotencyKey } from '../idempotencyKey';
import { requestRouteRef } from '../routes';
import { isGone } from '../words';
import { readQuery, valueNow, whyFixed, type Edits } from './changes';
import { Differences } from './Differences';
import { ParameterField } from './ParameterField';
import { useChange, type Change, type ChangeAction } from './useChange';
import classes from './ChangePage.module.css';

const WORDS: Record<ChangeAction, string> = { update: 'Change', upgrade: 'Upgrade' };

/** ChangePage asks for other parameters or the newest version, and shows before that what it would be, cost and meet. */
export function ChangePage({ id, action }: { id: string; action: ChangeAction }) {
  const api = useApi(roadbedApiRef);
  const { loaded, reload } = useLoad(id, async () => {
    const { instance } = await api.getInstance(id);
    return { instance, offering: await api.getOffering(instance.offering) };
  });
  switch (loaded.status) {
    case 'loading':
      return <ChangeSkeleton />;
    case 'error':
      return (
        <div className={page.page}>
          <Problem what="what is to be changed" error={loaded.error} onRetry={reload} />
        </div>
      );
    default:
      return <Form {...loaded.data} action={action} onRefused={reload} />;
  }
}

function Form(props: { instance: Instance; offering: Offering; action: ChangeAction; onRefused(): void }) {
  const { instance, offering, action, onRefused } = props;
  const [query] = useAppSearchParams();
  const [edits, setEdits] = useState<Edits>(() => readQuery(offering, query));
  const change = useChange(instance, offering, action, edits);
  const set = (changed: Edits) => setEdits(now => ({ ...now, ...changed }));
  const fields = offering.parameters.map(({ name }) => name);
  const whyNot = whyNotNow(instance, action);
  return (
    <div className={page.page}>
      <Heading instance={instance} action={action} />
      {whyNot && (
        <Notice kind="info" title="It cannot be changed right now">
          <Text as="p" variant="body-medium">
            {sentence(whyNot)}
          </Text>
        </Notice>
      )}
      <div className={page.columns}>
        <div className={page.column}>
          <Panel title="Parameters">
            <div className={classes.fields}>
              {offering.parameters.map(parameter => (
                <ParameterField
                  key={parameter.name}
                  parameter={parameter}
                  environment={instance.environment}
                  value={parameter.name in edits ? edits[parameter.name] : valueNow(instance, parameter)}
                  fixed={whyFixed(offering, parameter)}
                  isInvalid={change.invalid.includes(parameter)}
                  onChange={value => set({ [parameter.name]: value })}
                />
              ))}
            </div>
          </Panel>
        </div>
        <div className={page.column}>
          <Panel title="What would change">
            {change.preview ? (
              <Differences offering={offering} preview={change.preview} />
            ) : (
              change.judged.error === undefined && <Skeleton width="70%" height={18} />
            )}
            <JudgedPage page={{ judged: change.judged, change: set, fields }}>
              <VerdictView />
            </JudgedPage>
            <Submit instance={instance} action={action} change={change} whyNot={whyNot} onRefused={onRefused} />
          </Panel>
        </div>
      </div>
    </div>
  );
}

function whyNotNow(instance: Instance, action: ChangeAction): string | undefined {
  if (isGone(instance.state)) {
    return `${instance.name} is no more`;
  }
  if (action === 'upgrade' && !instance.available_version) {
    return `${instance.name} has the newest version`;
  }
  return instance.changes_allowed;
}

type SubmitProps = { instance: Instance; action: ChangeAction; change: Change; whyNot: string | undefined; onRefused(): void };

function Submit(props: SubmitProps) {
  const { instance, action, change } = props;
  const api = useApi(roadbedApiRef);
  const navigate = useAppNavigate();
  const requestRoute = useRouteRef(requestRouteRef);
  const [accepted, setAccepted] = useState(false);
  const submit = useAction(async () => {
    // What is asked for may differ at the next try, so that each try is one of its own; a second change at a time is refused.
    const ask = action === 'upgrade' ? api.upgradeInstance : api.updateInstance;
    const asked = await ask.call(api, instance.id, { ...change.changes, ...change.secrets }, newIdempotencyKey());
    navigate(requestRoute?.({ id: asked.id }) ?? '/');
  });
  const replaces = (change.preview?.replaces.length ?? 0) > 0;
  const reason = props.whyNot || reasonAgainst(change, action) || (replaces && !accepted ? 'Say first that its loss is meant.' : undefined);
  const refused = submit.error === undefined ? undefined : explainError(submit.error);
  return (
    <div className={classes.submit}>
      {replaces && (
        <Checkbox isSelected={accepted} onChange={setAccepted}>
          What {instance.name} holds may be lost
        </Checkbox>
      )}
      <Button
        variant="primary"
        destructive={replaces}
        isDisabled={reason !== undefined}
        isPending={submit.pending}
        onPress={submit.run}
        aria-describedby="roadbed-change-reason"
      >
        {change.preview?.outcome === 'require_approval' ? `Ask to ${WORDS[action].toLowerCase()}` : WORDS[action]} {instance.name}
      </Button>
      <Text as="p" id="roadbed-change-reason" variant="body-small" color="secondary" className={classes.line}>
        {reason ? sentence(reason) : 'It stays as it is until the change has been applied.'}
      </Text>
      {refused?.status === 409 && (
        <Notice
          kind="info"
          alert
          title={refused.message}
          actions={
            <Button size="small" variant="secondary" onPress={props.onRefused}>
              See how it stands
            </Button>
          }
        />
      )}
      {refused && refused.status !== 409 && <Problem what="the request to change it" error={submit.error} />}
    </div>
  );
}

function reasonAgainst({ changes, secrets, invalid, preview }: Change, action: ChangeAction): string | undefined {
  if (invalid.length > 0) {
    return `Not valid yet: ${invalid.map(({ title }) => title).join(', ')}.`;
  }
  if (action === 'update' && Object.keys(changes).length + Object.keys(secrets).length === 0) {
    return 'The button works once something changes.';
  }
  return preview?.outcome === 'deny' ? 'Policy does not allow this; what it says stands above.' : undefined;
}

function Heading({ instance, action }: { instance: Instance; action: ChangeAction }) {
  const status = useStatusRoute()(instance.entity_ref);
  return (
    <>
      {status && (
        <Link href={status} className={page.back}>
          <RiArrowLeftLine size={16} aria-hidden="true" /> {instance.name}
        </Link>
      )}
      <header className={page.what}>
        <div className={page.title}>
          <Text as="h2" variant="title-small" weight="bold">
            {WORDS[action]} {instance.name}
          </Text>
          <Text variant="body-large" color="secondary">
            {instance.offering_name} · {instance.environment}
          </Text>
          <InstanceBadge state={instance.state} />
        </div>
        <Facts
          row
          facts={[
            { name: 'Owner', value: <Who entityRef={instance.owner} /> },
            { name: 'Version', value: instance.offering_version },
            { name: 'Cost', value: formatMonthly(instance.monthly_cost) },
          ]}
        />
      </header>
    </>
  );
}

function ChangeSkeleton() {
  return (
    <div role="status" aria-label="Loading what is to be changed" className={page.page}>
      <Skeleton width="min(20rem, 80%)" height={28} />
      <div className={page.columns}>
        <PanelSkeleton title="Parameters" lines={8} />
        <PanelSkeleton title="What would change" lines={5} />
      </div>
    </div>
  );
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1).replace(/\.$/, '')}.`;
}
