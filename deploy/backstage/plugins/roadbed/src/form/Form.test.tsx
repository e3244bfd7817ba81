import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Stepper } from '@backstage/plugin-scaffolder-react/alpha';
import { act, fireEvent, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { parse } from 'yaml';
import type { Parameters } from '../api/types';
import { aBudgetLeft, aDatabase, anInstance, aVerdict, estimate, overLimit } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { json, never, refusal, SidecarDouble, type Call } from '../testing/SidecarDouble';
import { RoadbedPage } from './FormPage';
import { RoadbedLink } from './LinkPicker';
import { RoadbedPresets } from './Presets';
import { refuseDenied } from './refuseDenied';
import { RoadbedVerdict } from './Verdict';

const EVALUATE = 'POST /offerings/postgres-database/evaluate';
const OFFERING = 'GET /offerings/postgres-database';

// The form that people get, as it is generated.
function readSteps(offering: string) {
  const file = path.join(__dirname, `../../../../../../backstage-templates/${offering}/template.yaml`);
  const { spec } = parse(readFileSync(file, 'utf8'));
  return spec.parameters.map(({ title, description, ...schema }: any) => ({ title, description, schema }));
}
const steps = readSteps('postgres-database');

const extensions = [
  { name: 'RoadbedPage', component: RoadbedPage },
  { name: 'RoadbedPresets', component: RoadbedPresets },
  { name: 'RoadbedLink', component: RoadbedLink },
  { name: 'RoadbedVerdict', component: RoadbedVerdict, validation: refuseDenied },
];

function renderForm(sidecar: SidecarDouble, initialState: Parameters = {}, pages = steps) {
  const onCreate = jest.fn(async () => {});
  const { container } = renderPage(
    <Stepper
      manifest={{ title: 'PostgreSQL Database', steps: pages }}
      extensions={extensions as any}
      initialState={initialState as any}
      onCreate={onCreate}
    />,
    { sidecar },
  );
  return { onCreate, container };
}

/** A sidecar by which $100 a month is the limit, a gigabyte costs a dime and a standby doubles it all. */
function aSidecar(change: (call: Call) => Response | Promise<Response> | undefined = () => undefined) {
  const offering = { ...aDatabase, parameters: aDatabase.parameters.filter(({ sensitive }) => !sensitive) };
  return new SidecarDouble()
    .on(OFFERING, offering)
    .on(EVALUATE, call => change(call) ?? json(judge((call.body as any).parameters, (call.body as any).advise)));
}

function judge(parameters: Parameters, advise: boolean) {
  const { storage_gb: storage = 100, multi_az: standby = false } = parameters as { storage_gb?: number; multi_az?: boolean };
  const monthly = (60 + storage / 10) * (standby ? 2 : 1);
  const allowed = monthly <= 100;
  const advice = {
    ranges: {
      storage_gb: { spans: [{ min: 20, max: 400 }], values: [], whole: false },
      multi_az: { spans: [], values: [false], whole: false },
    },
    alternatives: allowed ? [] : [{ changes: { multi_az: false }, monthly_cost: 70, text: 'turn off multi-AZ' }],
    presets: [
      { name: 'small', title: 'Small', monthly_cost: 65, allowed: true, parameters: { storage_gb: 50 } },
      { name: 'large', title: 'Large', monthly_cost: 220, allowed: false, parameters: { storage_gb: 500, multi_az: true } },
    ],
  };
  return aVerdict({
    allowed,
    outcome: allowed ? 'allow' : 'deny',
    estimate: { ...estimate, monthly_cost: monthly, annual_cost: monthly * 12 },
    findings: allowed ? [] : [overLimit],
    allowance: { limit: 100, left: 100 - monthly, scope: 'dev' },
    recommendations: standby ? ['A standby is for production.'] : [],
    ...(advise && { advice }),
  });
}

/** The same page without presets, for tests that count calls. */
function withoutPresets({ schema, ...step }: any) {
  const { roadbedPresets, ...properties } = schema.properties;
  return { ...step, schema: { ...schema, properties } };
}

const panel = () => screen.findByRole('region', { name: 'Price and policy' });
const next = () => userEvent.click(screen.getByRole('button', { name: 'Next' }));
const evaluations = (sidecar: SidecarDouble) => sidecar.callsTo('POST', '/offerings/postgres-database/evaluate');

test('keeps the place of the price until it comes', async () => {
  renderForm(aSidecar(never));
  expect(await panel()).toHaveTextContent('Working out the price…');
});

test('says what the form costs item by item, that it is allowed, and by how much', async () => {
  const { container } = renderForm(aSidecar());
  expect(await screen.findByText('$70.00 / month')).toBeInTheDocument();
  const shown = await panel();
  expect(shown).toHaveTextContent('Compute $60.00 · Storage $11.50 · Backup $14.00');
  expect(shown).toHaveTextContent('$840.00 a year');
  expect(shown).toHaveTextContent("Allowed in dev. Under dev's $100 limit by $30.00.");
  expect(await within(shown).findByText('Storage (GB): up to 400 here')).toBeInTheDocument();
  expect(within(shown).getByText('Multi-AZ: off here')).toBeInTheDocument();
  await waitFor(() => expect(screen.getAllByRole('status').map(each => each.textContent)).toContain('$70.00 / month. Allowed in dev.'));
  expect(await findFaults(container)).toEqual([]);
});

test('judges each change at once, only what is valid, and advises once after the last', async () => {
  const sidecar = aSidecar();
  renderForm(sidecar, {}, [withoutPresets(steps[0]), ...steps.slice(1)]);
  await screen.findByText('Multi-AZ: off here');
  const before = evaluations(sidecar).length;
  await userEvent.type(screen.getByRole('textbox', { name: /Database name/ }), 'or-1');
  const judged = (name: string, advise: boolean) => ({ parameters: { database_name: name, environment: 'dev' }, partial: true, advise });
  await waitFor(() => expect(evaluations(sidecar).at(-1)?.body).toEqual(judged('or-1', true)));
  expect(evaluations(sidecar).slice(before).map(({ body }) => body)).toEqual([
    judged('or-', false),
    judged('or-1', false),
    judged('or-1', true),
  ]);
});

test('judges it for as long as it is to live', async () => {
  const sidecar = aSidecar();
  renderForm(sidecar, { roadbedExpiresIn: '24h' });
  await panel();
  await waitFor(() => expect(evaluations(sidecar).at(-1)?.body).toMatchObject({ expires_in: '24h' }));
});

test('asks for one verdict at a time, and then for the newest', async () => {
  const asked: string[] = [];
  let answer = () => {};
  const sidecar = aSidecar(({ body }) => {
    const { parameters, advise } = body as any;
    if (advise || !parameters.database_name) {
      return undefined;
    }
    asked.push(parameters.database_name);
    return new Promise(resolve => (answer = () => resolve(json(judge(parameters, advise)))));
  });
  renderForm(sidecar, {}, [withoutPresets(steps[0]), ...steps.slice(1)]);
  await screen.findByText('Multi-AZ: off here');
  const field = screen.getByRole('textbox', { name: /Database name/ });
  await userEvent.type(field, 'ord');
  await waitFor(() => expect(asked).toEqual(['ord']));
  fireEvent.change(field, { target: { value: 'orders' } });
  fireEvent.change(field, { target: { value: 'orders-1' } });
  expect(asked).toEqual(['ord']);
  await act(async () => answer());
  await waitFor(() => expect(asked).toEqual(['ord', 'orders-1']));
});

test('drops answers that were overtaken', async () => {
  const held: (() => void)[] = [];
  const sidecar = aSidecar(({ body }) => {
    const { parameters, advise } = body as any;
    if (parameters.storage_gb === 300) {
      return new Promise(resolve => held.push(() => resolve(json(judge(parameters, advise)))));
    }
    return undefined;
  });
  renderForm(sidecar, { storage_gb: 100 }, steps.slice(1));
  const storage = await screen.findByRole('spinbutton', { name: 'Storage (GB)' });
  await screen.findByText('$70.00 / month');
  await userEvent.clear(storage);
  await userEvent.type(storage, '300');
  await waitFor(() => expect(held).not.toHaveLength(0));
  await userEvent.clear(storage);
  await userEvent.type(storage, '200');
  expect(await screen.findByText('$80.00 / month')).toBeInTheDocument();
  await act(async () => held.forEach(let_ => let_()));
  expect(screen.queryByText('$90.00 / month')).not.toBeInTheDocument();
  expect(screen.getByText('$80.00 / month')).toBeInTheDocument();
});

test('a denial comes with every reason and its way out, and one click makes the smallest change', async () => {
  const sidecar = aSidecar();
  renderForm(sidecar, { multi_az: true }, steps.slice(1));
  const shown = await panel();
  expect(await within(shown).findByText('Not allowed in dev.')).toBeInTheDocument();
  expect(within(shown).getByRole('list', { name: 'Findings' })).toHaveTextContent('What you can do: Turn off multi-AZ.');
  expect(await within(shown).findByText('Turn off multi-AZ ($70.00)')).toBeInTheDocument();
  expect(await within(shown).findByText('Ask #platform-team.')).toBeInTheDocument();
  expect(within(shown).getByText('Multi-AZ: +$70.00')).toBeInTheDocument();
  expect(within(shown).getByText('A standby is for production.')).toBeInTheDocument();

  await userEvent.click(within(shown).getByRole('button', { name: 'Use: turn off multi-AZ' }));
  expect(screen.getByRole('checkbox', { name: 'Multi-AZ' })).not.toBeChecked();
  expect(await within(shown).findByText('Allowed in dev.')).toBeInTheDocument();
  expect(within(shown).queryByText('Ask #platform-team.')).not.toBeInTheDocument();
  expect(shown).toHaveFocus();
});

test('a change to a field of another page is made there', async () => {
  renderForm(aSidecar(), { database_name: 'orders', team_owner: 'payments', cost_center: 'CC-1', multi_az: true });
  const shown = await panel();
  expect(await within(shown).findByText('on another page of this form')).toBeInTheDocument();
  await userEvent.click(within(shown).getByRole('button', { name: 'Use: turn off multi-AZ' }));
  await within(shown).findByText('Allowed in dev.');
  await next();
  expect(await screen.findByRole('checkbox', { name: 'Multi-AZ' })).not.toBeChecked();
});

test('presets show what they cost here, and fill in the options', async () => {
  renderForm(aSidecar(), { database_name: 'orders', team_owner: 'payments', cost_center: 'CC-1' });
  const small = await screen.findByRole('button', { name: /^Small \$65\.00/ });
  expect(screen.getByRole('button', { name: /^Large \$220\.00 Not allowed here$/ })).toBeDisabled();
  expect(small).toHaveAttribute('aria-pressed', 'false');
  await userEvent.click(small);
  expect(await screen.findByText('$65.00 / month')).toBeInTheDocument();
  expect(small).toHaveAttribute('aria-pressed', 'true');
  await next();
  expect(await screen.findByRole('spinbutton', { name: 'Storage (GB)' })).toHaveValue(50);
});

test('what is denied does not come to the review, and says why; pages before the last may be left', async () => {
  const filled = { database_name: 'orders', team_owner: 'payments', cost_center: 'CC-1', multi_az: true };
  const { onCreate } = renderForm(aSidecar(), filled);
  await screen.findByText('Not allowed in dev.');
  await next();
  await screen.findByRole('checkbox', { name: 'Multi-AZ' });
  await next();
  await userEvent.click(await screen.findByRole('button', { name: 'Review' }));
  expect(await screen.findByText(`'Price and policy' ${overLimit.message} ${overLimit.way_out}`)).toBeInTheDocument();
  expect(screen.queryByRole('button', { name: 'Create' })).not.toBeInTheDocument();
  expect(await panel()).toHaveFocus();

  await userEvent.click(await screen.findByRole('button', { name: 'Use: turn off multi-AZ' }));
  await screen.findByText('Allowed in dev.');
  await userEvent.click(screen.getByRole('button', { name: 'Review' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Create' }));
  expect(screen.queryByText('Price and policy')).not.toBeInTheDocument();
  const [[submitted]] = onCreate.mock.calls as unknown as [[Parameters]];
  expect(JSON.parse(JSON.stringify(submitted))).toEqual({
    ...filled,
    multi_az: false,
    environment: 'dev',
    instance_class: 'db.t3.medium',
    storage_gb: 100,
    backup_retention_days: 7,
  });
});

test('what would wait says for what, and can be asked for', async () => {
  const hold = { kind: 'freeze', name: 'year end', reason: '', until: null, message: "waiting for the change freeze 'year end' to end" } as const;
  renderForm(aSidecar(() => json({ ...judge({}, false), holds: [hold] })));
  expect(await screen.findByText('You may ask now, and it will wait:')).toBeInTheDocument();
  expect(await panel()).toHaveTextContent("waiting for the change freeze 'year end' to end.");
});

test('says what is left of the budgets after this', async () => {
  renderForm(aSidecar(() => json({ ...judge({}, false), budgets: [aBudgetLeft({ left_after: 4310 })] })));
  await screen.findByText('Allowed in dev.');
  expect(await panel()).toHaveTextContent('payments has $4,310 of its budget left after this.');
});

test('what needs an approval may be asked for', async () => {
  const waits = { ...judge({ multi_az: true }, false), outcome: 'require_approval' as const };
  const { onCreate } = renderForm(aSidecar(() => json(waits)), { multi_az: true }, steps.slice(2));
  expect(await screen.findByText('Needs approval in dev.')).toBeInTheDocument();
  expect(await panel()).toHaveTextContent('You may ask: it will wait for those who can approve it.');
  await userEvent.click(screen.getByRole('button', { name: 'Review' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Create' }));
  expect(onCreate).toHaveBeenCalled();
});

test('while the sidecar is away the form works, says so calmly, and can be submitted', async () => {
  const away = () => refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' });
  const { onCreate } = renderForm(aSidecar(away), { multi_az: true }, steps.slice(2));
  expect(await screen.findByText('Price and policy cannot be shown right now.')).toBeInTheDocument();
  expect(screen.queryByRole('alert')).not.toBeInTheDocument();
  await userEvent.click(screen.getByRole('button', { name: 'Review' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Create' }));
  expect(onCreate).toHaveBeenCalled();
});

test('what the sidecar objects to is said in its words', async () => {
  const details = [{ path: '/cost_center', message: 'has no such centre' }];
  renderForm(aSidecar(() => refusal(400, { name: 'InputError', message: 'One parameter is not valid.', details })));
  expect(await screen.findByText('Price and policy cannot be shown for this.')).toBeInTheDocument();
  expect(await panel()).toHaveTextContent('One parameter is not valid. /cost_center: has no such centre');
});

test('a number out of bounds is not counted, and that is said', async () => {
  const sidecar = aSidecar();
  renderForm(sidecar, { storage_gb: 5 }, steps.slice(1));
  expect(await screen.findByText('Storage (GB) must be a whole number from 20 to 1,000; the price is without it.')).toBeInTheDocument();
  expect(evaluations(sidecar).every(({ body }) => !('storage_gb' in (body as any).parameters))).toBe(true);
});

test('the last page shows the same as an API call, a command and Terraform', async () => {
  const filled = { database_name: 'orders', environment: 'dev', storage_gb: 50, multi_az: false };
  renderForm(aSidecar(), filled, steps.slice(2));
  await userEvent.click(await screen.findByText('The same as code'));
  expect(await screen.findByRole('region', { name: 'Text of API call' })).toHaveTextContent('"database_name": "orders"');
  expect(screen.getByRole('region', { name: 'Text of Command' })).toHaveTextContent('-p storage_gb=50');
  expect(screen.getByRole('region', { name: 'Text of Terraform' })).toHaveTextContent('storage_gb = 50');
  expect(screen.getByRole('button', { name: 'Copy Terraform' })).toBeInTheDocument();
});

test('what it takes from is picked among what is ready in the environment that the form asks for', async () => {
  const [name, environment] = aDatabase.parameters;
  const database = { ...name, name: 'database', title: 'Database', required: false, pattern: undefined, takes: { offering: 'postgres-database', output: 'endpoint' } };
  const sidecar = new SidecarDouble()
    .on('GET /offerings/static-site', { ...aDatabase, id: 'static-site', parameters: [environment, database], presets: [] })
    .on('POST /offerings/static-site/evaluate', aVerdict())
    .on('GET /instances', { items: [anInstance({ name: 'orders', environment: 'prod', entity_ref: 'resource:prod/orders.postgres-database' })] });
  const { container } = renderForm(sidecar, { environment: 'prod' }, readSteps('static-site').slice(1));
  await waitFor(() => expect(sidecar.callsTo('GET', '/instances').at(-1)?.query.get('environment')).toBe('prod'));
  const judged = () => (sidecar.callsTo('POST', '/offerings/static-site/evaluate').at(-1)?.body as { parameters: Parameters }).parameters.database;
  const field = await screen.findByRole('combobox', { name: 'Database' });
  expect(await findFaults(container)).toEqual([]);
  await userEvent.type(field, 'ord');
  await userEvent.click(await screen.findByRole('option', { name: 'orders' }));
  await waitFor(() => expect(judged()).toBe('resource:prod/orders.postgres-database'));
  // One that is in no list yet can be named, and is told to the sidecar when the field is left.
  await userEvent.clear(field);
  await userEvent.type(field, 'later');
  expect(judged()).not.toBe('later');
  await userEvent.tab();
  await waitFor(() => expect(judged()).toBe('later'));
});
