import type { ReactNode } from 'react';
import { Link, Text } from '@backstage/ui';
import type { Instance } from '../api/types';
import { useStatusRoute } from '../hooks/useStatusRoute';
import classes from './List.module.css';

/** InstanceName names a row of a table: an instance with a link to its Status tab, and under it what else tells it apart. */
export function InstanceName({ instance, children }: { instance: Pick<Instance, 'name' | 'entity_ref'>; children: ReactNode }) {
  const href = useStatusRoute()(instance.entity_ref) ?? '#';
  return (
    <span className={classes.name}>
      <Link href={href} weight="bold">
        {instance.name}
      </Link>
      <Text variant="body-small" color="secondary">
        {children}
      </Text>
    </span>
  );
}
