import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Caller, type Event, type InfrastructureRequest } from './api.ts';
import { baseUrl, openPage, screenshot, signIn } from './browser.ts';
import { databaseNames, query, type Credentials } from './databases.ts';
import { fillFields, fillForm, followRequest, openStatus, readFact, submitButton, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';
import { until } from './until.ts';

const OFFERING = 'PostgreSQL Database';
const STEPS = [
  '1 Validate request: completed',
  '2 Generate configuration: completed',
  '3 Create database instance: completed',
  '4 Configure monitoring: completed',
  '5 Store credentials: completed',
];

/** databaseCases are the life of a database, from the form to its end. */
export function databaseCases(stage: () => Stage) {
  const name = uniqueName('orders');
  const entityRef = `resource:dev/${name}.postgres-database`;
  let made: InfrastructureRequest; // what the first case has made; those after it need it
  let credentials: Credentials;

  test('ann asks for a database, follows it, and uses it', async t => {
    const { page, problems, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    const leftBefore = await readBudgetLeft(page);
    await fillForm(page, OFFERING, [['Database name', name], ['Cost center', 'CC-1234']], 'form');
    await screenshot(page, 'form-review');

    const ann = await Caller.signIn('ann');
    const clickedAt = Date.now();
    await submitButton(page).click();
    const usable = untilUsable(ann, name);
    usable.catch(() => undefined); // reported below, after what the browser has to say
    await page.getByRole('link', { name: 'Follow the request' }).waitFor();
    await screenshot(page, 'task-done');

    const id = await followRequest(page);
    await page.getByRole('list', { name: 'Steps' }).waitFor();
    await screenshot(page, 'request-running');
    await page.getByText(/^Completed in /).waitFor();
    await screenshot(page, 'request-done');
    await openStatus(page, name);
    for (const step of STEPS) {
      await page.getByRole('list', { name: 'Steps' }).getByRole('listitem', { name: step }).waitFor();
    }
    await screenshot(page, 'status');

    credentials = await openCredentials(page);
    const shownAt = Date.now();
    await screenshot(page, 'status-password');
    const rows = await query(
      credentials,
      'CREATE TABLE parcels (id int PRIMARY KEY, note text)',
      `INSERT INTO parcels VALUES (1, 'first')`,
      'SELECT id, note FROM parcels',
    );
    assert.deepEqual(rows, [{ id: 1, note: 'first' }]);
    const leftAfter = await readBudgetLeft(page);
    await page.goto(`${baseUrl()}/infrastructure/budgets`);
    await page.getByRole('table', { name: 'Budgets' }).getByRole('row').filter({ hasText: 'payments' }).waitFor();
    await screenshot(page, 'budgets');
    assert.deepEqual(problems, []);
    await close();

    const usableAt = await usable;
    [made] = await ann.requests(name);
    assert.equal(made.id, id);
    assert.equal(made.state, 'succeeded');
    assert.equal(Math.round((leftBefore - leftAfter) * 100), Math.round((made.monthly_cost ?? 0) * 100), 'the budget falls by the price');
    for (const line of times(made, await ann.events(id), { clickedAt, usableAt, shownAt })) {
      t.diagnostic(line);
    }
  });

  test('ben, of another team, sees neither the request nor the credentials', async () => {
    assert.ok(made, 'there is no database');
    const { page, close } = await openPage(stage().browser);
    await signIn(page, 'Ben Larsen');
    await page.goto(new URL(`/infrastructure/requests/${made.id}`, page.url()).href);
    await page.getByText(`You may not see request ${made.id}`).waitFor();
    await screenshot(page, 'request-not-yours');
    await page.goto(new URL(`/catalog/dev/resource/${name}.postgres-database/status`, page.url()).href);
    await page.getByText(`You may not see the status of ${name}`).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Show password' }).count(), 0);
    await screenshot(page, 'status-not-yours');
    await close();

    const ben = await Caller.signIn('ben');
    for (const path of [`requests/${made.id}`, `requests/${made.id}/events`, `requests/${made.id}/logs`, `instances/${made.instance_id}`]) {
      assert.equal((await ben.get(`/api/roadbed/${path}`)).status, 403, path);
    }
    for (const path of ['credentials', 'destroy']) {
      const { status, body } = await ben.post(`/api/roadbed/instances/${made.instance_id}/${path}`);
      assert.equal(status, 403, path);
      assert.ok(!JSON.stringify(body).includes(credentials.password), path);
    }
    assert.deepEqual((await ben.get(`/api/roadbed/instances?owner=${made.owner}`)).body.items ?? [], []);
  });

  test('pat, of the platform team, sees the request but not the credentials', async () => {
    assert.ok(made, 'there is no database');
    const pat = await Caller.signIn('pat');
    assert.equal((await pat.get(`/api/roadbed/requests/${made.id}`)).status, 200);
    assert.equal((await pat.post(`/api/roadbed/instances/${made.instance_id}/credentials`)).status, 403);
  });

  test('a second request for the same name is refused on its task page', async () => {
    assert.ok(made, 'there is no database');
    const { page, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    await fillForm(page, OFFERING, [['Database name', name], ['Cost center', 'CC-1234']]);
    await submitButton(page).click();
    const refusal = page.getByRole('alert').filter({ hasText: name });
    await refusal.waitFor();
    await screenshot(page, 'task-conflict');
    assert.match(await refusal.innerText(), new RegExp(`${name}.*(exists|taken|already)`, 'i'));
    assert.equal(await page.getByRole('link', { name: 'Follow the request' }).count(), 0);
    await close();
  });

  test('ann gives it more storage from its Status tab, and sees first what that is', async () => {
    assert.ok(made, 'there is no database');
    const { page, problems, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    await page.goto(new URL(`/catalog/dev/resource/${name}.postgres-database/status`, page.url()).href);
    await page.getByRole('link', { name: 'Change', exact: true }).click();
    const panel = page.getByRole('region', { name: 'What would change' });
    await panel.getByText('Nothing changes yet.').waitFor();
    assert.equal(await page.getByRole('textbox', { name: 'Database name' }).isDisabled(), true);
    const storage = page.getByRole('textbox', { name: 'Storage (GB)' });
    await storage.fill('600');
    await panel.getByText('Not allowed in dev.', { exact: true }).waitFor();
    const change = panel.getByRole('button', { name: `Change ${name}` });
    assert.equal(await change.isDisabled(), true, 'what is denied cannot be asked for');
    await screenshot(page, 'change-denied');
    await storage.fill('120');
    await panel.getByText('$5.10 more').waitFor();
    await panel.getByText('Allowed in dev.', { exact: true }).waitFor();
    await screenshot(page, 'change');
    await change.click();
    await page.getByRole('heading', { name: `Change ${name}` }).waitFor();
    await page.getByText(/^Completed in /).waitFor();
    await screenshot(page, 'change-done');
    assert.deepEqual(problems, []);
    await close();
    const { body } = await (await Caller.signIn('ann')).get(`/api/roadbed/instances/${made.instance_id}`);
    assert.equal(body.instance.parameters.storage_gb, 120);
    assert.equal(body.instance.monthly_cost, 90.6);
  });

  test('ann destroys the database from its Status tab by typing its name', async t => {
    assert.ok(made, 'there is no database');
    const { page, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    await page.goto(new URL(`/catalog/dev/resource/${name}.postgres-database/status`, page.url()).href);
    await page.getByRole('button', { name: `Actions for ${name}` }).click();
    await page.getByRole('menuitem', { name: `Destroy ${name}` }).click();
    const dialog = page.getByRole('dialog');
    const destroy = dialog.getByRole('button', { name: `Destroy ${name}` });
    await destroy.waitFor();
    assert.equal(await destroy.isDisabled(), true, 'the button waits for the name');
    await dialog.getByRole('textbox').fill(name);
    await screenshot(page, 'destroy');
    await destroy.click();
    await dialog.waitFor({ state: 'hidden' });

    const ann = await Caller.signIn('ann');
    const destroyedAt = await until('the instance to go', 120_000, async () => {
      const { body } = await ann.get(`/api/roadbed/instances/${made.instance_id}`);
      return body.instance?.state === 'destroyed' ? Date.now() : undefined;
    });
    const goneAt = await until('the entity to go', 60_000, async () =>
      (await ann.hasEntity(entityRef)) ? undefined : Date.now(),
    );
    t.diagnostic(`entity gone ${goneAt - destroyedAt} ms after the instance`);
    assert.ok(goneAt - destroyedAt < 15_000, 'the catalog follows at once');
    await page.getByText('Destroyed', { exact: true }).first().waitFor();
    await screenshot(page, 'status-destroyed');
    await close();

    assert.ok(!(await databaseNames(stage().data)).includes(credentials.database));
    await assert.rejects(query(credentials, 'SELECT 1'), /does not exist|authentication failed/);
  });
}

/** readBudgetLeft opens the form, and reads what it would leave of the budget of payments, in dollars. */
async function readBudgetLeft(page: Page): Promise<number> {
  await fillFields(page, OFFERING, []);
  const panel = page.getByRole('region', { name: 'Price and policy' });
  const said = await panel.getByText(/payments has \S+ of its budget left/).innerText();
  return Number(/payments has \$(\S+) of/.exec(said)?.[1].replaceAll(',', ''));
}

async function openCredentials(page: Page): Promise<Credentials> {
  await page.getByRole('button', { name: 'Show password' }).click();
  await page.getByRole('button', { name: 'Hide password' }).waitFor();
  const read = (fact: string) => readFact(page, 'Connect', fact);
  return {
    host: await read('Endpoint'),
    port: Number(await read('Port')),
    database: await read('Database'),
    user: await read('Username'),
    password: await read('Password'),
  };
}

/** untilUsable waits until the credentials of a name open its database, and returns when that was. */
async function untilUsable(caller: Caller, name: string): Promise<number> {
  const request = await until(`the request for ${name} to complete`, 180_000, async () => {
    const [found] = await caller.requests(name);
    return found?.state === 'succeeded' ? found : undefined;
  });
  const { status, body } = await caller.post(`/api/roadbed/instances/${request.instance_id}/credentials`);
  assert.equal(status, 200, JSON.stringify(body));
  const { username: user, password, host, port, database } = body.credentials;
  await query({ user, password, host, port, database }, 'SELECT 1');
  return Date.now();
}

/** times tells how long it took, and how much of that Terraform had: init and plan, then apply to its last resource. */
function times(
  request: InfrastructureRequest,
  events: Event[],
  { clickedAt, usableAt, shownAt }: { clickedAt: number; usableAt: number; shownAt: number },
): string[] {
  const at = (verb: string) => Date.parse(events.find(event => event.type.includes(verb))?.at ?? '');
  const plan = request.steps.find(step => step.step === 2);
  const planned = Date.parse(plan?.finished_at ?? '') - Date.parse(plan?.started_at ?? '');
  const applied = at('request.succeeded') - at('request.applying');
  const total = usableAt - clickedAt;
  const share = ((planned + applied) / total) * 100;
  return [
    `click to usable credentials: ${total} ms, nobody in between`,
    `of which Terraform had ${planned + applied} ms (${share.toFixed(0)} %): init and plan ${planned} ms, apply ${applied} ms`,
    `click to the password on the screen: ${shownAt - clickedAt} ms`,
    ...request.steps.map(step => `step ${step.step}, ${step.name}: ${Math.round((step.duration_seconds ?? 0) * 1000)} ms`),
  ];
}
