import type { RefObject } from 'react';
import { useRouteRef } from '@backstage/frontend-plugin-api';
import { ButtonIcon, Menu, MenuItem, MenuTrigger } from '@backstage/ui';
import { RiArrowUpCircleLine, RiDeleteBinLine, RiKey2Line, RiMore2Fill } from '@remixicon/react';
import type { Instance, InstanceState } from '../api/types';
import { upgradeRouteRef } from '../routes';

const TOO_LATE: Partial<Record<InstanceState, string>> = {
  destroying: 'is already being destroyed',
  destroyed: 'is already destroyed',
  released: 'was never made',
};

/** InstanceMenu is what can be done with an instance. */
export function InstanceMenu(props: {
  instance: Instance;
  buttonRef: RefObject<HTMLButtonElement>;
  /** onRotate is there when its credentials can be made anew. */
  onRotate?(): void;
  onDestroy(): void;
}) {
  const { instance, buttonRef, onRotate, onDestroy } = props;
  const tooLate = TOO_LATE[instance.state];
  const upgrade = useRouteRef(upgradeRouteRef)?.({ id: instance.id });
  return (
    <MenuTrigger>
      <ButtonIcon
        ref={buttonRef}
        variant="secondary"
        icon={<RiMore2Fill />}
        aria-label={`Actions for ${instance.name}`}
      />
      <Menu>
        {instance.available_version && !tooLate && upgrade && (
          <MenuItem iconStart={<RiArrowUpCircleLine />} href={upgrade} isDisabled={Boolean(instance.changes_allowed)}>
            {instance.changes_allowed ? 'Upgrade, when nothing runs' : `Upgrade to ${instance.available_version}`}
          </MenuItem>
        )}
        {onRotate && !tooLate && (
          <MenuItem iconStart={<RiKey2Line />} isDisabled={Boolean(instance.changes_allowed)} onAction={onRotate}>
            {instance.changes_allowed ? 'Rotate credentials, when nothing runs' : 'Rotate credentials'}
          </MenuItem>
        )}
        <MenuItem
          color="danger"
          iconStart={<RiDeleteBinLine />}
          isDisabled={tooLate !== undefined}
          onAction={onDestroy}
        >
          {tooLate ? `${instance.name} ${tooLate}` : `Destroy ${instance.name}`}
        </MenuItem>
      </Menu>
    </MenuTrigger>
  );
}
