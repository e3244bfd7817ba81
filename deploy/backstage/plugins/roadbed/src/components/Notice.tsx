import type { ReactNode } from 'react';
import {
  RiAlertLine,
  RiCheckboxCircleLine,
  RiForbidLine,
  RiInformationLine,
  RiTimeLine,
  type RemixiconComponentType,
} from '@remixicon/react';
import { Box, Text, type BoxProps } from '@backstage/ui';
import classes from './Notice.module.css';

type Kind = 'info' | 'waiting' | 'answer' | 'good' | 'bad';

const ICONS: Record<Kind, RemixiconComponentType> = {
  info: RiInformationLine,
  waiting: RiTimeLine,
  answer: RiForbidLine,
  good: RiCheckboxCircleLine,
  bad: RiAlertLine,
};

const BACKGROUNDS: Record<Kind, BoxProps['bg']> = {
  info: 'neutral',
  waiting: 'warning',
  answer: 'neutral',
  good: 'success',
  bad: 'danger',
};

/** Notice says one thing that matters, and offers what to do about it. */
export function Notice(props: { kind: Kind; title: string; children?: ReactNode; actions?: ReactNode; alert?: boolean }) {
  const Icon = ICONS[props.kind];
  return (
    <Box bg={BACKGROUNDS[props.kind]} className={classes.notice} data-kind={props.kind} role={props.alert ? 'alert' : undefined}>
      <Icon className={classes.icon} aria-hidden="true" />
      <div className={classes.content}>
        <Text as="p" variant="body-medium" weight="bold" className={classes.line}>
          {props.title}
        </Text>
        {props.children}
        {props.actions && <div className={classes.actions}>{props.actions}</div>}
      </div>
    </Box>
  );
}
