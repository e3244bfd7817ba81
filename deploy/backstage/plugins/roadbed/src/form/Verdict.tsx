import { useEffect, useRef, useState } from 'react';
import { Box, Button, Skeleton, VisuallyHidden } from '@backstage/ui';
import { RiCheckboxCircleLine, RiCloudOffLine, RiForbidLine, RiTimeLine, RiUserFollowLine } from '@remixicon/react';
import type { FieldExtensionComponentProps } from '@backstage/plugin-scaffolder-react';
import { explainError } from '../api/explainError';
import type { Alternative, Estimate, Parameters, Verdict } from '../api/types';
import { sayBudgets } from '../budgets';
import { Announcement } from '../components/Announcement';
import { EscapeHatch } from '../components/EscapeHatch';
import { Findings } from '../components/Findings';
import surface from '../components/Surface.module.css';
import { formatField, formatMoney, formatMonthly } from '../format';
import { AsCode } from './AsCode';
import { FormPage, usePage } from './FormPage';
import type { VerdictOptions } from './refuseDenied';
import { sayAllowance, sayAlternative, sayAnnouncement, sayAnswer, sayBounds, sayRange } from './sentences';
import type { Judged } from './useVerdict';
import classes from './Verdict.module.css';

/** VERDICT_FIELD is the field's name in the form. It never has a value, so nothing of it is submitted. */
export const VERDICT_FIELD = 'roadbedVerdict';

export type VerdictFieldProps = FieldExtensionComponentProps<undefined, VerdictOptions>;

/** RoadbedVerdict shows, while a form is filled in, what that costs and what policy says of it. */
export function RoadbedVerdict(props: VerdictFieldProps) {
  const { onChange, formContext, uiSchema, rawErrors } = props;
  const options = uiSchema['ui:options'] ?? {};
  const page = usePage();
  const form: Parameters = formContext?.formData ?? {};

  // Forms check the fields that they have heard of, though it be nothing that they heard.
  const known = VERDICT_FIELD in form;
  const tell = useRef(onChange);
  tell.current = onChange;
  useEffect(() => {
    if (!known) {
      tell.current(undefined);
    }
  }, [known]);

  const view = <VerdictView isFinal={options.final === true} isRefused={(rawErrors ?? []).length > 0} />;
  if (page) {
    return view;
  }
  return (
    <FormPage offering={options.offering ?? ''} form={form} fields={[]}>
      {view}
    </FormPage>
  );
}

/** VerdictView is the price and the verdict of the form around it, with what would be allowed instead. */
export function VerdictView({ isFinal = false, isRefused = false }: { isFinal?: boolean; isRefused?: boolean }) {
  const { judged, change, fields } = usePage()!;
  const { offering, parameters, verdict, error } = judged;
  const panel = useRef<HTMLElement>(null);
  const [done, setDone] = useState('');
  const environment = environmentOf(judged);

  const use = (alternative: Alternative) => {
    change?.(alternative.changes);
    setDone(`Changed: ${alternative.text}. `);
    // The button goes away with its reason; whoever pressed it is kept beside where it was.
    panel.current?.focus();
  };
  // Whoever is kept from the review is led to the reasons.
  useEffect(() => {
    if (isRefused) {
      panel.current?.focus();
    }
  }, [isRefused]);
  const said = verdict && !error ? `${done}${sayAnnouncement(verdict, environment)}` : '';
  return (
    <div className={surface.surface}>
      <Announcement>{useAfterPause(said)}</Announcement>
      <section ref={panel} tabIndex={-1} aria-label="Price and policy" className={classes.place}>
        {/* On a background of its own, so that its buttons stand out from it in every theme. */}
        <Box bg="neutral" className={classes.panel} data-refused={isRefused && verdict?.outcome === 'deny'}>
          {error !== undefined && <Away error={error} />}
          {error === undefined && !verdict && <Skeletons />}
          {error === undefined && verdict && (
            <>
              <Price estimate={verdict.estimate} />
              <Answer verdict={verdict} environment={environment} />
              <Holds verdict={verdict} />
              <Reasons verdict={verdict} />
              {!verdict.allowed && <Alternatives judged={judged} fields={fields} onUse={change && use} />}
              <Details judged={judged} />
              {/* The form's last page says it in any case. */}
              {verdict.outcome === 'deny' && !isFinal && <EscapeHatch markdown={offering?.escape_hatch} />}
            </>
          )}
        </Box>
      </section>
      {isFinal && offering && <AsCode offering={offering} parameters={parameters} lifetime={judged.lifetime} environment={environment} />}
    </div>
  );
}

function Price({ estimate }: { estimate: Estimate | null }) {
  return (
    <p className={classes.price}>
      <span className={classes.monthly}>{formatMonthly(estimate?.monthly_cost)}</span>
      {estimate && (
        <>
          <span className={classes.quiet}>
            {estimate.items
              .filter(item => item.monthly_cost !== 0)
              .map(item => `${formatField(item.name)} ${formatMoney(item.monthly_cost)}`)
              .join(' · ')}
          </span>
          <span className={classes.quiet}>{formatMoney(estimate.annual_cost)} a year</span>
        </>
      )}
    </p>
  );
}

function Answer({ verdict, environment }: { verdict: Verdict; environment: string | undefined }) {
  const Refused = verdict.outcome === 'require_approval' ? RiUserFollowLine : RiForbidLine;
  const Icon = verdict.allowed ? RiCheckboxCircleLine : Refused;
  return (
    <div className={classes.answer} data-outcome={verdict.outcome}>
      <Icon aria-hidden="true" />
      <p>
        <span className={classes.word}>{sayAnswer(verdict, environment)}.</span> {sayAllowance(verdict)} {sayBudgets(verdict.budgets)}
        {verdict.outcome === 'require_approval' && ' You may ask: it will wait for those who can approve it.'}
      </p>
    </div>
  );
}

/** What is held is accepted all the same, so this is no reason not to ask. */
function Holds({ verdict }: { verdict: Verdict }) {
  const held = verdict.holds.map(({ kind, name, message }) => (
    <div key={`${kind} ${name}`} className={classes.answer} data-outcome="require_approval">
      <RiTimeLine aria-hidden="true" />
      <p>
        <span className={classes.word}>You may ask now, and it will wait:</span> {message.replace(/\.$/, '')}.
      </p>
    </div>
  ));
  return <>{held}</>;
}

function Reasons({ verdict }: { verdict: Verdict }) {
  // What is only worth knowing stands with the recommendations.
  const findings = verdict.findings.filter(({ level }) => level !== 'info');
  return findings.length === 0 ? null : <Findings findings={findings} />;
}

function Alternatives(props: { judged: Judged; fields: string[]; onUse?(alternative: Alternative): void }) {
  const { judged, fields, onUse } = props;
  const alternatives = judged.advice?.alternatives ?? [];
  if (alternatives.length === 0) {
    return (
      <p className={classes.quiet}>
        {judged.isSettled ? 'No change of one or two fields would do.' : 'Looking for the smallest changes that fit…'}
      </p>
    );
  }
  const elsewhere = ({ changes }: Alternative) => Object.keys(changes).some(name => !fields.includes(name));
  return (
    <div>
      <p id="roadbed-alternatives">{judged.verdict?.outcome === 'require_approval' ? 'Smallest changes that need no approval:' : 'Smallest changes that fit:'}</p>
      <ul role="list" aria-labelledby="roadbed-alternatives" className={classes.alternatives}>
        {alternatives.map(alternative => (
          <li key={alternative.text}>
            <span>{sayAlternative(alternative)}</span>
            {onUse && (
              <Button
                size="small"
                variant="secondary"
                className={classes.use}
                aria-label={`Use: ${alternative.text}`}
                isDisabled={!judged.isSettled}
                onPress={() => onUse(alternative)}
              >
                Use
              </Button>
            )}
            {elsewhere(alternative) && <span className={classes.small}>on another page of this form</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Details({ judged }: { judged: Judged }) {
  const { offering, verdict, advice, effects, uncounted } = judged;
  const ranges = (offering?.parameters ?? []).flatMap(parameter => {
    const range = parameter.name === offering?.roles.environment ? undefined : advice?.ranges[parameter.name];
    return (range && sayRange(parameter, range)) ?? [];
  });
  return (
    <>
      {uncounted.map(parameter => (
        <p key={parameter.name}>{sayBounds(parameter)}</p>
      ))}
      {ranges.length > 0 && <FactList name="What is allowed" facts={ranges} />}
      {effects.length > 0 && (
        <FactList
          name="Compared with the defaults"
          facts={effects.map(({ parameter, monthly }) => `${parameter.title}: ${monthly < 0 ? '−' : '+'}${formatMoney(Math.abs(monthly))}`)}
          title
        />
      )}
      {verdict && verdict.recommendations.length > 0 && (
        <ul role="list" aria-label="Recommendations" className={classes.recommendations}>
          {verdict.recommendations.map(text => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
    </>
  );
}

function FactList({ name, facts, title = false }: { name: string; facts: string[]; title?: boolean }) {
  return (
    <ul role="list" aria-label={name} className={classes.facts}>
      {title && <li aria-hidden="true">{name}:</li>}
      {facts.map(fact => (
        <li key={fact}>{fact}</li>
      ))}
    </ul>
  );
}

/** The form goes on without a verdict: what is submitted is judged in any case. */
function Away({ error }: { error: unknown }) {
  const { status, message, details } = explainError(error);
  const isAway = status === undefined || status >= 500;
  return (
    <div className={classes.answer} role="status">
      <RiCloudOffLine aria-hidden="true" />
      <div>
        <p className={classes.word}>
          {isAway ? 'Price and policy cannot be shown right now.' : 'Price and policy cannot be shown for this.'}
        </p>
        <p>
          {isAway
            ? 'You can go on: your request is judged when you submit it. This fills in again by itself.'
            : [message, ...details].join(' ')}
        </p>
      </div>
    </div>
  );
}

function Skeletons() {
  return (
    <>
      <VisuallyHidden>Working out the price…</VisuallyHidden>
      <Skeleton width="9rem" height={28} />
      <Skeleton width="70%" height={18} />
      <Skeleton width="45%" height={18} />
    </>
  );
}

function environmentOf({ offering, parameters, verdict }: Judged): string | undefined {
  const role = offering?.roles.environment;
  const usual = offering?.parameters.find(({ name }) => name === role)?.default;
  const chosen = (role && parameters[role]) || usual || verdict?.allowance?.scope;
  return chosen === undefined ? undefined : String(chosen);
}

/** While somebody types, every verdict in between is noise to a screen reader; the last one is told. */
function useAfterPause(text: string): string {
  const [settled, setSettled] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 700);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
