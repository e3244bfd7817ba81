import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Select, Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import { AskDialog, AskForm, type AskProps } from './AskForm';
import classes from './DestroyDialog.module.css';

const PERIODS = [
  { value: '4h', label: '4 hours longer' },
  { value: '24h', label: 'A day longer' },
  { value: '3d', label: '3 days longer' },
  { value: '7d', label: 'A week longer' },
];

/** ExtendDialog takes how much longer an instance that ends by itself is to live. */
export function ExtendDialog(props: AskProps & { open: boolean }) {
  return (
    <AskDialog open={props.open} onOpenChange={props.onOpenChange}>
      <Form {...props} />
    </AskDialog>
  );
}

function Form(props: AskProps) {
  const { instance } = props;
  const api = useApi(roadbedApiRef);
  const [by, setBy] = useState('24h');
  return (
    <AskForm
      {...props}
      title={`Extend ${instance.name}?`}
      action="extend"
      confirm={`Extend ${instance.name}`}
      decline="Not now"
      answers={by}
      ask={key => api.extendInstance(instance.id, by, key)}
    >
      <Text as="p" variant="body-medium" className={classes.line}>
        More time is priced over its whole life and may need approval.
      </Text>
      <Select label="How long" options={PERIODS} value={by} onChange={chosen => setBy(String(chosen))} />
    </AskForm>
  );
}
