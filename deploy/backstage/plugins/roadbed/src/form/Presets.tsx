import { Skeleton, ToggleButton } from '@backstage/ui';
import { RiCheckLine } from '@remixicon/react';
import surface from '../components/Surface.module.css';
import { formatMoney } from '../format';
import { usePage } from './FormPage';
import { fillPreset } from './parameters';
import type { Judged } from './useVerdict';
import classes from './Presets.module.css';

const WORDS: Record<string, string> = { deny: 'Not allowed here', require_approval: 'Needs approval here' };

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
  return (
    <div role="group" aria-labelledby="roadbed-presets" className={`${surface.surface} ${classes.presets}`}>
      <p id="roadbed-presets" className={classes.title}>
        Common choices
      </p>
      <div className={classes.choices}>
        {offering.presets.map(preset => {
          const filled = fillPreset(offering, preset);
          const here = judged.presets[preset.name];
          const chosen = Object.entries(filled).every(([name, value]) => valueOf(judged, name) === value);
          return (
            <ToggleButton
              key={preset.name}
              className={classes.choice}
              isSelected={chosen}
              isDisabled={here?.outcome === 'deny'}
              onChange={() => change!(filled)}
            >
              <span className={classes.line}>
                <span className={classes.name}>{preset.title}</span>{' '}
                <span className={classes.price}>{here?.estimate ? formatMoney(here.estimate.monthly_cost) : ''}</span>
                {chosen && <RiCheckLine className={classes.icon} aria-hidden="true" />}
              </span>{' '}
              <span className={classes.description}>{WORDS[here?.outcome ?? ''] ?? preset.description}</span>
            </ToggleButton>
          );
        })}
      </div>
      <p className={classes.hint}>Each can be changed on the next pages.</p>
    </div>
  );
}

function valueOf({ parameters, offering }: Judged, name: string): unknown {
  return parameters[name] ?? offering?.parameters.find(parameter => parameter.name === name)?.default;
}
