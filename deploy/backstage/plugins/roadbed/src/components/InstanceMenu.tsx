import type { RefObject } from 'react';
import { ButtonIcon, Menu, MenuItem, MenuTrigger } from '@backstage/ui';
import { RiDeleteBinLine, RiMore2Fill } from '@remixicon/react';
import type { Instance, InstanceState } from '../api/types';

const TOO_LATE: Partial<Record<InstanceState, string>> = {
  destroying: 'is already being destroyed',
  destroyed: 'is already destroyed',
  released: 'was never made',
};

/** InstanceMenu is what can be done with an instance. */
export function InstanceMenu(props: {
  instance: Instance;
  buttonRef: RefObject<HTMLButtonElement>;
  onDestroy(): void;
}) {
  const { instance, buttonRef, onDestroy } = props;
  const tooLate = TOO_LATE[instance.state];
  return (
    <MenuTrigger>
      <ButtonIcon
        ref={buttonRef}
        variant="secondary"
        icon={<RiMore2Fill />}
        aria-label={`Actions for ${instance.name}`}
      />
      <Menu>
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
