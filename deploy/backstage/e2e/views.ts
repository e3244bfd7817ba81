import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseUrl, openPage, screenshot, signIn, type PageOptions } from './browser.ts';
import { Caller, type InfrastructureRequest } from './api.ts';
import { findFaults } from './faults.ts';
import { fillForm, followRequest, openStatus, overflow, submitButton, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';

const VIEWS: Record<string, PageOptions> = {
  light: { width: 1440, height: 900 },
  dark: { width: 1440, height: 900, colorScheme: 'dark' },
  phone: { width: 360, height: 740 },
};

/** viewCases look at every page, on a wide screen in both themes and on a phone. */
export function viewCases(stage: () => Stage) {
  for (const [view, options] of Object.entries(VIEWS)) {
    test(`every page fits and is whole: ${view}`, async () => {
      const { page, problems, close } = await openPage(stage().browser, options);
      const name = uniqueName(`look-${view}`);
      const look = async (what: string) => {
        await screenshot(page, `${view}-${what}`);
        assert.equal(await overflow(page), 0, `${what} is wider than its window`);
        if (/\/infrastructure\/|\/status$/.test(page.url())) {
          assert.deepEqual(await findFaults(page), [], `${what} is hard to use for some`);
        }
      };
      await page.goto(`${baseUrl()}/`);
      await page.getByRole('list', { name: 'People' }).waitFor();
      await look('sign-in');
      await signIn(page, 'Ann Okafor');
      await page.getByRole('heading', { name: 'PostgreSQL Database' }).waitFor();
      await look('create');
      await fillForm(page, 'PostgreSQL Database', [['Database name', name], ['Cost center', 'CC-1234']], `${view}-form`);
      await look('review');
      await submitButton(page).click();
      await page.getByRole('link', { name: 'Follow the request' }).waitFor();
      await look('task');
      await followRequest(page);
      await page.getByRole('list', { name: 'Steps' }).waitFor();
      await look('running');
      await page.getByText(/^Completed in /).waitFor();
      await look('done');
      await openStatus(page, name);
      await page.getByRole('table', { name: 'Cost by item' }).waitFor();
      await look('status');
      await page.getByRole('link', { name: 'Change', exact: true }).click();
      await page.getByText('Nothing changes yet.').waitFor();
      await look('change');

      await page.goto(`${baseUrl()}/infrastructure/requests`);
      await page.getByRole('table', { name: 'Requests' }).waitFor();
      await look('requests');
      await page.goto(`${baseUrl()}/infrastructure/approvals`);
      await page.getByRole('heading', { name: 'Nothing waits for you' }).waitFor();
      await look('approvals');
      await page.goto(`${baseUrl()}/infrastructure/resources`);
      await page.getByRole('table', { name: 'Resources' }).waitFor();
      await look('resources');
      await page.goto(`${baseUrl()}/infrastructure/budgets`);
      await page.getByRole('table', { name: 'Budgets' }).waitFor();
      await look('budgets');
      const chosen = await page.getByRole('tab', { name: 'Budgets', selected: true }).boundingBox();
      assert.ok(chosen && chosen.x >= 0 && chosen.x + chosen.width <= (options.width ?? 0), 'the chosen tab is out of view');
      await page.goto(`${baseUrl()}/infrastructure/campaigns`);
      await page.getByRole('heading', { name: 'Nothing is being rolled out' }).waitFor();
      await look('campaigns');
      await page.goto(`${baseUrl()}/infrastructure/overview`);
      await page.getByRole('heading', { name: 'More' }).waitFor();
      await look('overview');
      const ann = await Caller.signIn('ann');
      const number = 40 + Object.keys(VIEWS).indexOf(view);
      const preview = { repository: 'acme/orders', pull_request: number, owner: 'payments', base: 'dev', environment: 'dev', of: [name] };
      const { body: made } = await ann.post('/api/roadbed/previews', preview);
      assert.equal(made.members[0].error, undefined, JSON.stringify(made));
      await page.goto(`${baseUrl()}/infrastructure/previews`);
      await page.getByRole('heading', { name: `acme/orders #${number}` }).waitFor();
      await look('previews');
      await page.goto(`${baseUrl()}/infrastructure/drift`);
      await page.getByRole('heading', { name: 'No drift detected' }).waitFor();
      await look('drift');

      const { body } = await ann.get('/api/roadbed/requests?mine=true&state=denied');
      const [denied]: InfrastructureRequest[] = body.items;
      await page.goto(`${baseUrl()}/infrastructure/requests/${denied.id}`);
      await page.getByText('Not allowed in dev as asked').waitFor();
      await look('denied');
      await page.goto(`${baseUrl()}/create/tasks/${denied.task}`);
      await page.getByRole('alert').filter({ hasText: '$100/month' }).waitFor();
      await look('task-denied');
      assert.deepEqual(problems, []);
      await close();
    });
  }
}
