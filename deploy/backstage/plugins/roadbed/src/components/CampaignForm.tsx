import { useState } from 'react';
import { useApi, useAppNavigate, useRouteRef } from '@backstage/frontend-plugin-api';
import { Button, Select, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import { useAction } from '../hooks/useAction';
import { useLoad } from '../hooks/useLoad';
import { newIdempotencyKey } from '../idempotencyKey';
import { campaignRouteRef } from '../routes';
import { Panel } from './Panel';
import { Problem } from './Problem';
import classes from './PolicyPage.module.css';

/** CampaignForm has the upgrade of every resource of an offering planned. */
export function CampaignForm() {
  const api = useApi(roadbedApiRef);
  const navigate = useAppNavigate();
  const one = useRouteRef(campaignRouteRef);
  const [chosen, setChosen] = useState('');
  const [version, setVersion] = useState('');
  const { loaded } = useLoad('offerings', () => api.listOfferings());
  const offerings = loaded.status === 'data' ? loaded.data : [];
  const offering = offerings.find(({ id }) => id === chosen) ?? offerings[0];
  const make = useAction(async () => {
    const made = await api.makeCampaign({ offering: offering.id, version: version.trim() || offering.version }, newIdempotencyKey());
    const address = one?.({ id: made.id });
    if (address) {
      navigate(address);
    }
  });
  if (!offering) {
    return null;
  }
  return (
    <Panel title="Roll a version out">
      <form
        aria-label="Roll a version out"
        onSubmit={event => {
          event.preventDefault();
          make.run();
        }}
      >
        <div className={classes.form}>
          <Select
            label="Offering"
            options={offerings.map(({ id, name }) => ({ value: id, label: name }))}
            value={offering.id}
            onChange={value => setChosen(String(value))}
          />
          <TextField label="Version" value={version} onChange={setVersion} placeholder={offering.version} maxLength={100} />
          <Button type="submit" variant="secondary" isPending={make.pending}>
            Plan it
          </Button>
        </div>
        {make.error !== undefined && <Problem what="the campaign" error={make.error} />}
      </form>
      <Text as="p" variant="body-small" color="secondary" className={classes.line}>
        Nothing is touched by this: what the upgrade of each resource would do is planned, and what it does is approved next.
      </Text>
    </Panel>
  );
}
