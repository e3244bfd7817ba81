import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Caller, type InfrastructureRequest } from './api.ts';
import { openPage, screenshot, signIn } from './browser.ts';
import { fillForm, submitButton, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';

/** refusalCases are what policy does not allow. */
export function refusalCases(stage: () => Stage) {
  const name = uniqueName('huge');

  test('a request that breaks several rules is refused on its task page with every reason', async () => {
    const { page, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(page, 'Ann Okafor');
    await fillForm(page, 'PostgreSQL Database', [
      ['Database name', name],
      ['Cost centre', 'CC-1234'],
      ['Storage (GB)', '600'],
      ['Multi-AZ', true],
    ]);
    await submitButton(page).click();
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
