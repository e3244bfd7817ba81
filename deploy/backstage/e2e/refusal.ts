import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Caller, type InfrastructureRequest } from './api.ts';
import { baseUrl, openPage, screenshot, signIn } from './browser.ts';
import { fillFields, submitButton, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';

/** refusalCases are what policy does not allow. */
export function refusalCases(stage: () => Stage) {
  const name = uniqueName('huge');

  test('a form that breaks several rules says so with every reason, is not reviewed, and offers what would do', async () => {
    const { page, problems, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    const turn = await fillFields(page, 'PostgreSQL Database', [
      ['Database name', name],
      ['Cost center', 'CC-1234'],
      ['Storage (GB)', '300'],
      ['Multi-AZ', true],
    ]);
    const panel = page.getByRole('region', { name: 'Price and policy' });
    await panel.getByText('Not allowed in dev.', { exact: true }).waitFor();
    await turn();
    await page.getByRole('button', { name: 'Review' }).click();
    await page.getByText(/'Price and policy' .*exceeds limit \$100\/month/).waitFor();
    assert.equal(await submitButton(page).count(), 0);
    await screenshot(page, 'form-denied');

    await panel.getByRole('button', { name: /^Use: / }).first().click();
    await panel.getByText('Allowed in dev.', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Review' }).click();
    await submitButton(page).waitFor();
    assert.deepEqual(problems, []);
    await close();
  });

  test('a request that breaks several rules is refused on its task page with every reason', async () => {
    const { page, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    // The form keeps it back, so it comes in as scripts hand in theirs.
    const { body } = await (await Caller.signIn('ann')).post('/api/scaffolder/v2/tasks', {
      templateRef: 'template:default/postgres-database',
      values: {
        database_name: name,
        environment: 'dev',
        team_owner: 'group:default/payments',
        cost_center: 'CC-1234',
        storage_gb: 600,
        multi_az: true,
      },
    });
    await page.goto(`${baseUrl()}/create/tasks/${body.id}`);
    const refusal = page.getByRole('alert').filter({ hasText: '$100/month' });
    await refusal.waitFor();
    await screenshot(page, 'task-denied');

    const denied = await deniedRequest();
    const reasons = denied.findings.filter(({ level }) => level === 'deny' || level === 'require_approval');
    assert.deepEqual(reasons.map(({ rule }) => rule).sort(), ['cost_limit', 'large_database']);
    const told = await refusal.innerText();
    for (const { message, way_out: wayOut } of reasons) {
      assert.ok(told.includes(message), `${message} is not in: ${told}`);
      assert.ok(!wayOut || told.includes(wayOut), `${wayOut} is not in: ${told}`);
    }
    assert.ok(told.includes(denied.id), 'the task names the request, to find it again');
    await close();
  });

  test('the refused request stands in the list as denied, with its reasons on its page', async () => {
    const { page, problems, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    await page.getByRole('link', { name: 'Infrastructure' }).click();
    const row = page.getByRole('table', { name: 'Requests' }).getByRole('row').filter({ hasText: name });
    await row.getByText('Denied').waitFor();
    await screenshot(page, 'requests');

    await row.getByRole('link', { name: `Create ${name}` }).click();
    await page.getByText('Not allowed in dev as asked').waitFor();
    const findings = page.getByRole('list', { name: 'Findings' }).first();
    for (const { level, message } of (await deniedRequest()).findings) {
      if (level === 'deny' || level === 'require_approval') {
        await findings.getByText(message).waitFor();
      }
    }
    await screenshot(page, 'request-denied');
    assert.deepEqual(problems, []);

    await page.getByRole('link', { name: 'Change it and ask again' }).click();
    assert.equal(await page.getByLabel('Database name').inputValue(), name);
    await close();
  });

  async function deniedRequest(): Promise<InfrastructureRequest> {
    const [request] = await (await Caller.signIn('ann')).requests(name);
    assert.equal(request?.state, 'denied');
    return request;
  }
}
