import { useId, type ReactNode } from 'react';
import { Card, CardBody, CardHeader, Text } from '@backstage/ui';
import classes from './Panel.module.css';

/** Panel is a card with a heading, and something beside the heading. */
export function Panel(props: { title: ReactNode; aside?: ReactNode; children: ReactNode }) {
  const headingId = useId();
  return (
    <section aria-labelledby={headingId} className={classes.section}>
      <Card className={classes.card}>
        <CardHeader className={classes.header}>
          <Text as="h3" id={headingId} variant="body-large" weight="bold">
            {props.title}
          </Text>
          {props.aside && <div className={classes.aside}>{props.aside}</div>}
        </CardHeader>
        <CardBody className={classes.body}>{props.children}</CardBody>
      </Card>
    </section>
  );
}
