import { useState } from 'react';
import { Checkbox, PasswordField, Select, Text, TextAreaField, TextField } from '@backstage/ui';
import type { Parameter } from '../api/types';
import { LinkPicker } from '../form/LinkPicker';
import { readInteger, readMap, writeMap } from './changes';
import classes from './ChangePage.module.css';

type Props = {
  parameter: Parameter;
  /** environment is where the instance is: a link does not leave it. */
  environment: string;
  value: unknown;
  /** fixed is why it cannot be changed, if so. */
  fixed: string | undefined;
  isInvalid: boolean;
  onChange(value: unknown): void;
};

/** ParameterField is one parameter, to be changed. */
export function ParameterField(props: Props) {
  const { parameter, value, fixed, isInvalid, onChange } = props;
  const common = { label: parameter.title, description: describe(parameter, fixed), isDisabled: fixed !== undefined };
  const text = value === undefined || value === null ? '' : String(value);
  if (parameter.sensitive) {
    return <PasswordField {...common} value={text} onChange={onChange} autoComplete="new-password" />;
  }
  if (parameter.takes) {
    return (
      <LinkPicker
        {...common}
        offering={parameter.takes.offering}
        environment={props.environment}
        value={text}
        isInvalid={isInvalid}
        onChange={onChange}
      />
    );
  }
  switch (parameter.type) {
    case 'enum':
      return (
        <Select
          {...common}
          options={(parameter.options ?? []).map(({ value: option, label }) => ({ value: String(option), label: label || String(option) }))}
          value={text}
          onChange={chosen => onChange(parameter.options?.find(option => String(option.value) === chosen)?.value)}
        />
      );
    case 'boolean':
      return (
        <div>
          <Checkbox isSelected={value === true} onChange={onChange} isDisabled={common.isDisabled}>
            {parameter.title}
          </Checkbox>
          <Text as="p" variant="body-small" color="secondary" className={classes.line}>
            {common.description}
          </Text>
        </div>
      );
    case 'integer':
      return (
        <TextField {...common} value={text} inputMode="numeric" isInvalid={isInvalid} onChange={typed => onChange(readInteger(typed))} />
      );
    case 'map':
      return <MapField {...props} />;
    default: {
      const Field = parameter.multiline ? TextAreaField : TextField;
      return <Field {...common} value={text} isInvalid={isInvalid} onChange={onChange} />;
    }
  }
}

/** What is typed is kept as it is, for a line that is half written is no setting yet. */
function MapField({ parameter, value, fixed, isInvalid, onChange }: Props) {
  const [typed, setTyped] = useState(() => writeMap(value));
  return (
    <TextAreaField
      label={parameter.title}
      description={`${describe(parameter, fixed)} One a line: name = value.`}
      isDisabled={fixed !== undefined}
      isInvalid={isInvalid}
      value={typed}
      onChange={text => {
        setTyped(text);
        onChange(readMap(text));
      }}
    />
  );
}

function describe({ description, min, max, replaces, sensitive, type }: Parameter, fixed: string | undefined): string {
  const bounds = type === 'integer' && min !== undefined && max !== undefined ? `From ${min.toLocaleString('en-US')} to ${max.toLocaleString('en-US')}` : '';
  const parts = [
    description,
    bounds,
    sensitive && 'Left empty, it stays as it is',
    fixed ?? (replaces && 'Another value makes it anew, and what it holds is lost'),
  ];
  return parts
    .filter(Boolean)
    .map(part => String(part).replace(/\.$/, ''))
    .join('. ')
    .concat('.');
}
