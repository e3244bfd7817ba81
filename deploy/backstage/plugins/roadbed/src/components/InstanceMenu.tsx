import type { RefObject } from 'react';
import { useRouteRef } from '@backstage/frontend-plugin-api';
import { ButtonIcon, Menu, MenuItem, MenuTrigger } from '@backstage/ui';
import { RiArrowUpCircleLine, RiDeleteBinLine, RiKey2Line, RiMore2Fill, RiTeamLine, RiTimerLine } from '@remixicon/react';
import type { Instance, InstanceState } from '../api/types';
import { upgradeRouteRef } from '../routes';

const TOO_LATE: Partial<Record<InstanceState, string>> = {
  destroying: 'is already being destroyed',
  destroyed: 'is already destroyed',
  released: 'was never made',
};

/** InstanceAsk is what the menu asks for by a dialog. */
export type InstanceAsk = 'rotate' | 'hand_over' | 'extend' | 'destroy';

/** InstanceMenu is what can be done with an instance. */
export function InstanceMenu(props: {
  instance: Instance;
  buttonRef: RefObject<HTMLButtonElement>;
  /** rotates says that its credentials can be made anew. */
  rotates: boolean;
  onAsk(ask: InstanceAsk): void;
}) {
  const { instance, buttonRef, rotates, onAsk } = props;
  const tooLate = TOO_LATE[instance.state];
  const upgrade = useRouteRef(upgradeRouteRef)?.({ id: instance.id });
  const busy = Boolean(instance.changes_allowed);
  const whenIdle = (words: string) => (busy ? `${words}, when nothing runs` : words);
  return (
    <MenuTrigger>
      <ButtonIcon
        ref={buttonRef}
        variant="secondary"
        icon={<RiMore2Fill />}
        aria-label={`Actions for ${instance.name}`}
      />
      <Menu>
        {instance.expires_at && !tooLate && (
          <MenuItem iconStart={<RiTimerLine />} isDisabled={busy} onAction={() => onAsk('extend')}>
            {whenIdle('Extend')}
          </MenuItem>
        )}
        {instance.available_version && !tooLate && upgrade && (
          <MenuItem iconStart={<RiArrowUpCircleLine />} href={upgrade} isDisabled={busy}>
            {busy ? 'Upgrade, when nothing runs' : `Upgrade to ${instance.available_version}`}
          </MenuItem>
        )}
        {rotates && !tooLate && (
          <MenuItem iconStart={<RiKey2Line />} isDisabled={busy} onAction={() => onAsk('rotate')}>
            {whenIdle('Rotate credentials')}
          </MenuItem>
        )}
        {!tooLate && (
          <MenuItem iconStart={<RiTeamLine />} isDisabled={busy} onAction={() => onAsk('hand_over')}>
            {whenIdle('Hand over')}
          </MenuItem>
        )}
        <MenuItem
          color="danger"
          iconStart={<RiDeleteBinLine />}
          isDisabled={tooLate !== undefined}
          onAction={() => onAsk('destroy')}
        >
          {tooLate ? `${instance.name} ${tooLate}` : `Destroy ${instance.name}`}
        </MenuItem>
      </Menu>
    </MenuTrigger>
  );
}
