import { useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { Combobox, Text, TextField } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import { formatMonthly, formatOwner } from '../format';
import { useTeams } from '../hooks/useTeams';
import { AskDialog, AskForm, type AskProps } from './AskForm';
import classes from './DestroyDialog.module.css';

type Props = AskProps & {
  /** rotates says that its offering makes credentials anew. */
  rotates: boolean;
};

/** HandOverDialog takes which team is to own an instance, and says first what either team has of that. */
export function HandOverDialog(props: Props & { open: boolean }) {
  return (
    <AskDialog open={props.open} onOpenChange={props.onOpenChange}>
      <Form {...props} />
    </AskDialog>
  );
}

function Form(props: Props) {
  const { instance, rotates } = props;
  const api = useApi(roadbedApiRef);
  const teams = useTeams().filter(team => team !== formatOwner(instance.owner));
  const [owner, setOwner] = useState('');
  const [costCenter, setCostCenter] = useState('');
  const handOver = { owner: owner.trim(), cost_center: costCenter.trim() || undefined };
  const giver = formatOwner(instance.owner);
  return (
    <AskForm
      {...props}
      title={`Hand over ${instance.name}?`}
      action="hand over"
      confirm={`Hand over ${instance.name}`}
      decline={`Keep it with ${giver}`}
      answers={JSON.stringify(handOver)}
      incomplete={handOver.owner === ''}
      ask={key => api.handOver(instance.id, handOver, key)}
    >
      <Text as="p" variant="body-medium" className={classes.line}>
        The other team owns it from then on and gets its costs, {formatMonthly(instance.monthly_cost)}, in its budgets.{' '}
        {rotates
          ? `Its credentials are made anew: the old ones stop working, and ${giver} loses access.`
          : `${giver} loses access here, but what it knows of the credentials stays valid: this offering cannot make them anew.`}
      </Text>
      <Combobox
        label="Team"
        description="One of the catalog's, or typed."
        options={teams.map(team => ({ value: team, label: team }))}
        search={{ inputValue: owner, onInputChange: setOwner }}
        allowsCustomValue
        isRequired
      />
      <TextField
        label="Cost center"
        description={`${instance.cost_center} goes on paying when this is left empty.`}
        value={costCenter}
        onChange={setCostCenter}
        maxLength={255}
      />
    </AskForm>
  );
}
