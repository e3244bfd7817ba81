import type { ReactNode } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Select } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Me } from '../api/types';
import { formatOwner } from '../format';
import type { Filters } from '../hooks/useFilters';
import { useLoad } from '../hooks/useLoad';
import classes from './FilterBar.module.css';

type Choice = { value: string; label: string };

/** React Aria takes no empty key, and an empty value is what the address leaves out. */
const ANY = 'any';

/** FilterBar is the filters of a list, side by side. */
export function FilterBar({ filters, children }: { filters: Filters; children: ReactNode }) {
  return (
    <div className={classes.bar} role="group" aria-label="Filters">
      {children}
      {filters.narrowed && (
        <Button size="small" variant="tertiary" onPress={filters.clear}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

/** Filter narrows by one thing. `any` is the word for not narrowing. */
export function Filter(props: { filters: Filters; name: string; label: string; any: string; choices: Choice[] }) {
  const value = props.filters.get(props.name);
  const known = value === '' || props.choices.some(choice => choice.value === value);
  return (
    <Select
      className={classes.filter}
      label={props.label}
      size="small"
      options={[
        { value: ANY, label: props.any },
        ...props.choices,
        // An address may name what is no longer there; it is shown, so that it can be taken away.
        ...(known ? [] : [{ value, label: value }]),
      ]}
      value={value || ANY}
      onChange={chosen => props.filters.set(props.name, chosen === ANY ? '' : String(chosen))}
    />
  );
}

/** OfferingFilter and EnvironmentFilter offer what the sidecar knows. */
export function OfferingFilter({ filters }: { filters: Filters }) {
  const api = useApi(roadbedApiRef);
  const { loaded } = useLoad('offerings', () => api.listOfferings());
  const choices = loaded.status === 'data' ? loaded.data.map(({ id, name }) => ({ value: id, label: name })) : [];
  return <Filter filters={filters} name="offering" label="Offering" any="All offerings" choices={choices} />;
}

export function EnvironmentFilter({ filters }: { filters: Filters }) {
  const api = useApi(roadbedApiRef);
  const { loaded } = useLoad('environments', () => api.listEnvironments());
  const choices =
    loaded.status === 'data' ? loaded.data.map(({ name, title }) => ({ value: name, label: title || name })) : [];
  return <Filter filters={filters} name="environment" label="Environment" any="All environments" choices={choices} />;
}

/** teamChoices are the teams of whoever is signed in. */
export function teamChoices(me: Me | undefined): Choice[] {
  return (me?.groups ?? []).map(group => ({ value: group, label: `${formatOwner(group)} team` }));
}
