import type { ReactNode } from 'react';
import { useRouteRef } from '@backstage/frontend-plugin-api';
import { ButtonLink, Text } from '@backstage/ui';
import { RiAddLine, RiStackLine } from '@remixicon/react';
import { createPageRouteRef } from '../routes';
import classes from './Empty.module.css';

/** Empty says what would be here. */
export function Empty(props: { title: string; level?: 2 | 3; children: ReactNode; action?: ReactNode }) {
  return (
    <div className={classes.empty}>
      <RiStackLine className={classes.icon} aria-hidden="true" />
      <Text as={`h${props.level ?? 2}`} variant="body-large" weight="bold">
        {props.title}
      </Text>
      <Text as="p" variant="body-medium" color="secondary" className={classes.text}>
        {props.children}
      </Text>
      {props.action}
    </div>
  );
}

/** CreateButton leads to the Create page. */
export function CreateButton({ variant = 'primary' }: { variant?: 'primary' | 'secondary' }) {
  const href = useRouteRef(createPageRouteRef)?.();
  return href ? (
    <ButtonLink href={href} variant={variant} iconStart={<RiAddLine />}>
      Ask for infrastructure
    </ButtonLink>
  ) : null;
}
