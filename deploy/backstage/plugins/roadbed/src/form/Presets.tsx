import { Skeleton, ToggleButton } from '@backstage/ui';
import { RiCheckLine } from '@remixicon/react';
import type { Parameters } from '../api/types';
import surface from '../components/Surface.module.css';
import { formatMoney } from '../format';
import { usePage } from './FormPage';
import classes from './Presets.module.css';

type Choice = { name: string; title: string; description?: string; price?: number | null; allowed: boolean; parameters: Parameters };

/** RoadbedPresets offers the common configurations, with what each would cost here. A click fills in the options. */
export function RoadbedPresets() {
  const page = usePage();
  const offering = page?.judged.offering;
  // Without the page there is no way to fill in anything.
  if (!page?.change || offering?.presets.length === 0) {
    return null;
  }
  if (!offering) {
    return page.judged.error === undefined ? <Skeleton width="100%" height={128} /> : null;
  }
  const { judged, change } = page;
  // What a preset does not name is as usual, so that one follows another without traces.
  const usual = usualOf(offering.presets.map(({ parameters }) => parameters), offering.parameters);
  const now = { ...usual, ...judged.parameters };
  const choices: Choice[] = offering.presets.map(preset => {
    const here = judged.advice?.presets.find(({ name }) => name === preset.name);
    return { ...preset, price: here?.monthly_cost, allowed: here?.allowed ?? true, parameters: { ...usual, ...preset.parameters } };
  });
  return (
    <div role="group" aria-labelledby="roadbed-presets" className={`${surface.surface} ${classes.presets}`}>
      <p id="roadbed-presets" className={classes.title}>
        Common choices
      </p>
      <div className={classes.choices}>
        {choices.map(({ name, title, description, price, allowed, parameters }) => {
          const chosen = Object.entries(parameters).every(([key, value]) => now[key] === value);
          return (
            <ToggleButton
              key={name}
              className={classes.choice}
              isSelected={chosen}
              isDisabled={!allowed}
              onChange={() => change!(parameters)}
            >
              <span className={classes.line}>
                <span className={classes.name}>{title}</span>{' '}
                <span className={classes.price}>{typeof price === 'number' ? formatMoney(price) : ''}</span>
                {chosen && <RiCheckLine className={classes.icon} aria-hidden="true" />}
              </span>{' '}
              <span className={classes.description}>{allowed ? description : 'Not allowed here as it is'}</span>
            </ToggleButton>
          );
        })}
      </div>
      <p className={classes.hint}>Each can be changed on the next pages.</p>
    </div>
  );
}

function usualOf(presets: Parameters[], parameters: { name: string; default?: unknown }[]): Parameters {
  const named = new Set(presets.flatMap(preset => Object.keys(preset)));
  return Object.fromEntries(
    parameters.filter(parameter => named.has(parameter.name) && parameter.default !== undefined).map(parameter => [parameter.name, parameter.default]),
  );
}
