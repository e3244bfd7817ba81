import { useApi } from '@backstage/frontend-plugin-api';
import { Text } from '@backstage/ui';
import { roadbedApiRef } from '../api/RoadbedApi';
import { AskDialog, AskForm, type AskProps } from './AskForm';
import classes from './DestroyDialog.module.css';

/** RotateDialog says what new credentials mean for whoever uses the old ones, before it asks for them. */
export function RotateDialog(props: AskProps & { open: boolean }) {
  const { instance } = props;
  const api = useApi(roadbedApiRef);
  return (
    <AskDialog open={props.open} onOpenChange={props.onOpenChange}>
      <AskForm
        {...props}
        title={`New credentials for ${instance.name}?`}
        action="rotate"
        confirm="Rotate credentials"
        decline="Keep the old ones"
        ask={key => api.rotateCredentials(instance.id, key)}
      >
        <Text as="p" variant="body-medium" className={classes.line}>
          The old ones stop working as soon as the new ones are made: whatever uses {instance.name} needs the new ones then, from
          Connect. Everything else stays as it is.
        </Text>
      </AskForm>
    </AskDialog>
  );
}
