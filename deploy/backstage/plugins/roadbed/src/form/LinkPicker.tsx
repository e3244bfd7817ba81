import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import type { FieldExtensionComponentProps } from '@backstage/plugin-scaffolder-react';
import { BgProvider, Combobox } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import surface from '../components/Surface.module.css';
import { useLoad } from '../hooks/useLoad';
import { usePage } from './FormPage';
import { nameOfLink } from './parameters';

type Props = {
  label: string;
  description?: string;
  /** offering is what can be linked to, and environment where: a link does not leave it. */
  offering: string;
  environment: string;
  value: string;
  isDisabled?: boolean;
  isInvalid?: boolean;
  isRequired?: boolean;
  /** onChange is told an entity's ref, a name that is in no list, or undefined for none. */
  onChange(value: string | undefined): void;
};

/** LinkPicker takes another instance: one of the ready ones of an environment, or one that is typed. */
export function LinkPicker(props: Props) {
  const { offering, environment, value, onChange, ...common } = props;
  const api = useApi(roadbedApiRef);
  const [text, setText] = useState(() => nameOfLink(value));
  const { loaded } = useLoad(`${offering} in ${environment}`, () => api.listInstances({ offering, environment }));
  const found = loaded.status === 'data' ? loaded.data.items : [];
  const ready = found.filter(({ state }) => state === 'ready').toSorted((a, b) => a.name.localeCompare(b.name));
  const read = (typed: string) => ready.find(({ name }) => name === typed)?.entity_ref;
  return (
    <Combobox
      {...common}
      options={ready.map(({ name }) => ({ value: name, label: name }))}
      search={{
        inputValue: text,
        onInputChange: typed => {
          setText(typed);
          // What is half typed is no name yet; it counts when the field is left.
          const known = read(typed.trim());
          if (known || typed.trim() === '') {
            onChange(known);
          }
        },
      }}
      onBlur={() => text.trim() && onChange(read(text.trim()) ?? text.trim())}
      allowsCustomValue
    />
  );
}

/** RoadbedLink is a parameter that takes an output of another instance, in an offering's form. */
export function RoadbedLink(props: FieldExtensionComponentProps<string, { offering?: string }>) {
  const { formData, onChange, schema, uiSchema, required, rawErrors = [], disabled = false } = props;
  const judged = usePage()?.judged;
  const roles = judged?.offering?.roles;
  const usual = judged?.offering?.parameters.find(({ name }) => name === roles?.environment)?.default;
  const environment = String(judged?.parameters[roles?.environment ?? ''] ?? usual ?? '');
  return (
    // The form's card is not one of the design system's, and does not say what it is painted with.
    <BgProvider bg="neutral-1">
      <div className={surface.surface}>
        <LinkPicker
          key={environment}
          label={schema.title ?? props.name}
          description={`${schema.description ?? 'Another resource'}, in the same environment`}
          offering={uiSchema['ui:options']?.offering ?? ''}
          environment={environment}
          value={formData ?? ''}
          isDisabled={disabled}
          isRequired={required}
          isInvalid={rawErrors.length > 0}
          onChange={onChange}
        />
      </div>
    </BgProvider>
  );
}
