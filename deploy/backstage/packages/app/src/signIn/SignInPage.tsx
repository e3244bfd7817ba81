import { useCallback, useState } from 'react';
import { ProxiedSignInPage } from '@backstage/core-components';
import { configApiRef, useApi, type ConfigApi, type IdentityApi } from '@backstage/frontend-plugin-api';
import type { SignInPageProps } from '@backstage/plugin-app-react';
import { Alert, Avatar, Button, Text } from '@backstage/ui';
import { RiArrowRightLine } from '@remixicon/react';
import { forgetUser, rememberUser, signedInUser } from './session';
import classes from './SignInPage.module.css';

type Person = { user: string; name: string; team: string; role?: string };

function readPeople(config: ConfigApi): Person[] {
  return (config.getOptionalConfigArray('auth.providers.demo.people') ?? []).map(person => ({
    user: person.getString('user'),
    name: person.getString('name'),
    team: person.getString('team'),
    role: person.getOptionalString('role'),
  }));
}

/** SignInPage offers the demo people, and signs in without asking whoever is already known to this tab. */
export function SignInPage({ onSignInSuccess }: SignInPageProps) {
  const people = readPeople(useApi(configApiRef));
  const [chosen, setChosen] = useState(() => people.find(person => person.user === signedInUser()));
  const [attempt, setAttempt] = useState(0);

  const choose = (person: Person) => {
    rememberUser(person.user);
    setChosen(person);
  };
  const startOver = () => {
    forgetUser();
    setChosen(undefined);
  };
  const succeed = useCallback(
    (identity: IdentityApi) => {
      // The provider keeps no session of its own: signing out is forgetting who this tab was.
      onSignInSuccess({
        getProfileInfo: () => identity.getProfileInfo(),
        getBackstageIdentity: () => identity.getBackstageIdentity(),
        getCredentials: () => identity.getCredentials(),
        async signOut() {
          forgetUser();
          await identity.signOut();
        },
      });
    },
    [onSignInSuccess],
  );

  if (!chosen) {
    return <PersonChooser people={people} onChoose={choose} />;
  }
  return (
    <ProxiedSignInPage
      key={attempt}
      provider="demo"
      headers={{ 'x-demo-user': chosen.user }}
      onSignInSuccess={succeed}
      ErrorComponent={({ error }) => (
        <SignInFailed
          person={chosen}
          error={error}
          onRetry={() => setAttempt(count => count + 1)}
          onStartOver={startOver}
        />
      )}
    />
  );
}

function PersonChooser({ people, onChoose }: { people: Person[]; onChoose(person: Person): void }) {
  return (
    <main className={classes.page}>
      <div className={classes.panel}>
        <Text as="h1" variant="title-large" weight="bold">
          Roadbed
        </Text>
        <Text as="p" variant="body-large" className={`${classes.lead} ${classes.detail}`}>
          Self-service infrastructure. This is a demonstration: choose who you are, there is no password.
        </Text>
        {people.length === 0 ? (
          <Alert
            status="warning"
            icon
            title="Nobody can sign in yet"
            description="List people under auth.providers.demo.people in app-config.yaml, then restart the portal."
          />
        ) : (
          <ul className={classes.people} aria-label="People">
            {people.map(person => (
              <li key={person.user}>
                <button
                  type="button"
                  className={classes.person}
                  aria-label={`Sign in as ${person.name}, ${person.team}`}
                  onClick={() => onChoose(person)}
                >
                  <Avatar name={person.name} src="" size="large" purpose="decoration" />
                  <span className={classes.who}>
                    <Text variant="body-large" weight="bold">
                      {person.name}
                    </Text>
                    <span className={classes.detail}>{person.team}</span>
                    {person.role && <span className={classes.detail}>{person.role}</span>}
                  </span>
                  <RiArrowRightLine className={classes.arrow} aria-hidden="true" />
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
    </main>
  );
}

function SignInFailed(props: { person: Person; error?: Error; onRetry(): void; onStartOver(): void }) {
  return (
    <main className={classes.page}>
      <div className={classes.panel} role="alert">
        <Alert
          status="danger"
          icon
          title={`Could not sign in as ${props.person.name}`}
          description={`Nothing is lost. ${props.error?.message ?? 'The portal did not answer.'}`}
        />
        <div className={classes.actions}>
          <Button onPress={props.onRetry}>Try again</Button>
          <Button variant="secondary" onPress={props.onStartOver}>
            Choose someone else
          </Button>
        </div>
      </div>
    </main>
  );
}
