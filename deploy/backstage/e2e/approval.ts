import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Caller } from './api.ts';
import { baseUrl, openPage, screenshot, signIn } from './browser.ts';
import { overflow, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';

const DESK = { width: 1440, height: 900 };
const PHONE = { width: 360, height: 740 };
const REASON = 'The load test needs it for two weeks.';

/** approvalCases are what other people have to allow. */
export function approvalCases(stage: () => Stage) {
  test('what is over staging’s limit waits for the platform team, who approve it on its page', async () => {
    const name = uniqueName('loadtest');
    const ann = await openPage(stage().browser, DESK);
    await signIn(ann.page, 'Ann Okafor');
    const { status, body } = await (await Caller.signIn('ann')).post('/api/roadbed/requests', {
      offering: 'postgres-database',
      parameters: {
        database_name: name,
        environment: 'staging',
        team_owner: 'group:default/payments',
        cost_center: 'CC-1234',
        instance_class: 'db.r6g.xlarge',
        storage_gb: 200,
        backup_retention_days: 14,
        multi_az: true,
      },
    });
    assert.equal(status, 202, JSON.stringify(body));
    const address = `${baseUrl()}/infrastructure/requests/${body.request.id}`;
    await ann.page.goto(address);
    await ann.page.getByText('Waits for platform-team').waitFor();
    await ann.page.getByText('You cannot approve your own request.').waitFor();
    assert.equal(await ann.page.getByRole('button', { name: 'Approve', exact: true }).count(), 0);
    await ann.page.getByRole('button', { name: 'Withdraw this request' }).waitFor();
    await screenshot(ann.page, 'approval-requester');
    await ann.page.getByRole('link', { name: `Open ${name}` }).click();
    await ann.page.getByRole('region', { name: 'Now' }).getByText('Waits for platform-team').waitFor();
    await screenshot(ann.page, 'approval-status');
    await ann.page.setViewportSize(PHONE);
    await screenshot(ann.page, 'approval-status-phone');
    assert.equal(await overflow(ann.page), 0, 'the status is wider than its window');
    await ann.page.setViewportSize(DESK);
    await ann.page.goto(address);

    const ben = await openPage(stage().browser, PHONE);
    await signIn(ben.page, 'Ben Larsen');
    await ben.page.goto(`${baseUrl()}/infrastructure/approvals`);
    await ben.page.getByRole('heading', { name: 'Nothing waits for you' }).waitFor();
    await screenshot(ben.page, 'approvals-empty');
    await ben.close();

    const pat = await openPage(stage().browser, { ...DESK, colorScheme: 'dark' });
    await signIn(pat.page, 'Pat Moreau');
    await pat.page.getByRole('link', { name: 'Notifications' }).click();
    await pat.page.getByRole('link', { name: `${name} in staging waits for your approval` }).click();
    await pat.page.waitForURL(address);
    await pat.page.getByText('Waits for your approval').waitFor();
    await pat.page.goto(`${baseUrl()}/infrastructure/approvals`);
    const row = pat.page.getByRole('table', { name: 'Approvals' }).getByRole('row').filter({ hasText: name });
    await row.waitFor();
    await screenshot(pat.page, 'approvals');
    await pat.page.setViewportSize(PHONE);
    await screenshot(pat.page, 'approvals-phone');
    assert.equal(await overflow(pat.page), 0, 'the approvals are wider than their window');
    await row.getByRole('link', { name: `Create ${name}` }).click();
    await pat.page.getByText('Waits for your approval').waitFor();
    await screenshot(pat.page, 'approval-phone');
    assert.equal(await overflow(pat.page), 0, 'the approval is wider than its window');
    await pat.page.setViewportSize(DESK);
    await screenshot(pat.page, 'approval-approver');
    await pat.page.getByRole('button', { name: 'Approve', exact: true }).click();
    const dialog = pat.page.getByRole('dialog', { name: 'Approve this request?' });
    await dialog.getByLabel('Reason (optional)').fill(REASON);
    await screenshot(pat.page, 'approval-dialog');
    await dialog.getByRole('button', { name: `Approve ${name}` }).click();
    await pat.page.getByRole('list', { name: 'Approvals' }).getByText(REASON).waitFor();

    // Ann's page was open all the while.
    await ann.page.getByText(/^Completed in /).waitFor();
    await ann.page.getByRole('list', { name: 'Approvals' }).getByText(REASON).waitFor();
    await screenshot(ann.page, 'approval-done');
    await ann.page.getByRole('link', { name: 'Notifications' }).click();
    await ann.page.getByRole('link', { name: `${name} in staging is ready` }).click();
    await ann.page.waitForURL(address);
    assert.deepEqual([...ann.problems, ...pat.problems], []);
    await ann.close();
    await pat.close();
  });
}
