import { useState } from 'react';
import { ButtonIcon, Menu, MenuItem, MenuTrigger } from '@backstage/ui';
import { RiDeleteBinLine, RiMore2Fill } from '@remixicon/react';
import type { InfrastructureRequest, Instance, InstanceState } from '../api/types';
import { DestroyDialog } from './DestroyDialog';

const TOO_LATE: Partial<Record<InstanceState, string>> = {
  destroying: 'is already being destroyed',
  destroyed: 'is already destroyed',
  released: 'was never made',
};

/** InstanceMenu is what can be done with an instance. */
export function InstanceMenu(props: { instance: Instance; onAsked(request: InfrastructureRequest): void }) {
  const { instance } = props;
  const [destroying, setDestroying] = useState(false);
  const tooLate = TOO_LATE[instance.state];
  return (
    <>
      <MenuTrigger>
        <ButtonIcon variant="secondary" icon={<RiMore2Fill />} aria-label={`Actions for ${instance.name}`} />
        <Menu>
          <MenuItem
            color="danger"
            iconStart={<RiDeleteBinLine />}
            isDisabled={tooLate !== undefined}
            onAction={() => setDestroying(true)}
          >
            {tooLate ? `${instance.name} ${tooLate}` : `Destroy ${instance.name}`}
          </MenuItem>
        </Menu>
      </MenuTrigger>
      <DestroyDialog instance={instance} open={destroying} onOpenChange={setDestroying} onAsked={props.onAsked} />
    </>
  );
}
