import { Text, VisuallyHidden } from '@backstage/ui';
import type { ChangePreview, Offering } from '../api/types';
import { Facts } from '../components/Facts';
import { Notice } from '../components/Notice';
import { isHidden } from '../components/Outcome';
import { formatMoney, formatMonthly, formatValue } from '../format';
import { sayValue } from '../form/parameters';
import classes from './ChangePage.module.css';

/** Differences is what a change would be: each parameter before and after, the price, and what would be made anew. */
export function Differences({ offering, preview }: { offering: Offering; preview: ChangePreview }) {
  const { changes, replaces, version_before: version, version_after: newVersion } = preview;
  if (changes.length === 0 && version === newVersion) {
    return (
      <Text as="p" variant="body-medium" color="secondary" className={classes.line}>
        Nothing changes yet. What each change does to the price, and what policy says of it, appears here.
      </Text>
    );
  }
  const say = (name: string, value: unknown) => {
    if (isHidden(value)) {
      return 'kept secret';
    }
    const parameter = offering.parameters.find(each => each.name === name);
    return parameter && typeof value !== 'object' ? sayValue(parameter, value) : formatValue(value);
  };
  const title = (name: string) => changes.find(({ parameter }) => parameter === name)?.title ?? name;
  return (
    <>
      <Facts
        facts={[
          ...(version === newVersion ? [] : [{ name: 'Version', value: <Becomes before={version} after={newVersion} /> }]),
          ...changes.map(({ parameter, title: name, before, after }) => ({
            name,
            value: <Becomes before={say(parameter, before)} after={say(parameter, after)} />,
          })),
          { name: 'Cost', value: sayCost(preview) },
        ]}
      />
      {replaces.length > 0 && (
        <Notice kind="bad" title="It is made anew, and what it holds is lost">
          <Text as="p" variant="body-medium">
            {replaces.map(title).join(' and ')} cannot be changed in place: the resource is destroyed and another one made.
          </Text>
        </Notice>
      )}
    </>
  );
}

function Becomes({ before, after }: { before: string; after: string }) {
  return (
    <>
      {before} <span aria-hidden="true">→</span>
      <VisuallyHidden> becomes </VisuallyHidden> <strong>{after}</strong>
    </>
  );
}

function sayCost({ cost_before: before, cost_after: after, cost_difference: difference }: ChangePreview) {
  if (!difference) {
    return difference === 0 ? `${formatMonthly(after)}, as before` : formatMonthly(after);
  }
  return (
    <>
      <Becomes before={before === null ? 'unknown' : formatMoney(before)} after={formatMonthly(after)} />, {formatMoney(Math.abs(difference))} {difference > 0 ? 'more' : 'less'}
    </>
  );
}
