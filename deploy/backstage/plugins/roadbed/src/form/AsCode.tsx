import { useState, type ReactNode } from 'react';
import { discoveryApiRef, useApi } from '@backstage/frontend-plugin-api';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Offering, Parameters } from '../api/types';
import { CopyButton } from '../components/CopyButton';
import { useLoad } from '../hooks/useLoad';
import { toCommand, toCurl, toTerraform } from './code';
import classes from './AsCode.module.css';

type CodeProps = { offering: Offering; parameters: Parameters; lifetime?: string; environment: string | undefined };

/** AsCode shows how to have the same without the form: by API, by command, and the Terraform behind it. */
export function AsCode(props: CodeProps) {
  const [open, setOpen] = useState(false);
  return (
    <details className={classes.code} onToggle={event => setOpen(event.currentTarget.open)}>
      <summary className={classes.summary}>The same as code</summary>
      {open && <Code {...props} />}
    </details>
  );
}

function Code({ offering, parameters, lifetime, environment }: CodeProps) {
  const api = useApi(roadbedApiRef);
  const discovery = useApi(discoveryApiRef);
  const base = useLoad('base', () => discovery.getBaseUrl('roadbed')).loaded;
  const environments = useLoad('environments', () => api.listEnvironments()).loaded;
  const found = environments.status === 'data' ? environments.data.find(({ name }) => name === environment) : undefined;
  const implementation = found?.implementation ?? offering.implementations[0];
  return (
    <>
      {base.status === 'data' && (
        <Snippet name="API call" text={toCurl(base.data, offering, parameters, lifetime)}>
          Asks for exactly what the form holds, and is judged in the same way.
        </Snippet>
      )}
      <Snippet name="Command" text={toCommand(offering, parameters, lifetime)}>
        The same call by Roadbed's own program.
      </Snippet>
      {implementation && (
        <Snippet name="Terraform" text={toTerraform(offering, implementation, parameters)}>
          The module that Roadbed runs. Applied by hand it is not judged, and Roadbed does not know of what it makes.
        </Snippet>
      )}
    </>
  );
}

function Snippet({ name, text, children }: { name: string; text: string; children: ReactNode }) {
  return (
    <section className={classes.snippet} aria-label={name}>
      <div className={classes.heading}>
        <h4 className={classes.name}>{name}</h4>
        <CopyButton what={name} text={text} />
      </div>
      <p className={classes.text}>{children}</p>
      {/* It scrolls sideways, so the keyboard has to reach it. */}
      <pre className={classes.pre} tabIndex={0} role="region" aria-label={`Text of ${name}`}>
        {text}
      </pre>
    </section>
  );
}
