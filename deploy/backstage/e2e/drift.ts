import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseUrl, openPage, screenshot, signIn } from './browser.ts';
import { administer, databaseNames } from './databases.ts';
import { fillForm, followRequest, openStatus, overflow, submitButton, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';

/** driftCases change a database behind Roadbed's back, and put it right from its page. */
export function driftCases(stage: () => Stage) {
  test('somebody changes a database by hand; its owner sees that and reverts it', async () => {
    const { page, problems, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    const name = uniqueName('drift');
    await signIn(page, 'Ann Okafor');
    await fillForm(page, 'PostgreSQL Database', [['Database name', name], ['Cost center', 'CC-1234']]);
    await submitButton(page).click();
    await followRequest(page);
    await page.getByText(/^Completed in /).waitFor();
    const database = (await databaseNames(stage().data)).find(made => made.startsWith(name.replaceAll('-', '_')));
    await administer(stage().data, `ALTER DATABASE "${database}" CONNECTION LIMIT 7`);

    await openStatus(page, name);
    const panel = page.getByRole('region', { name: 'Drift' });
    await panel.getByRole('button', { name: 'Check now' }).click();
    await panel.getByText('connection_limit of postgres_database.main is 7').waitFor();
    await panel.getByText(/To adopt it: max_connections not set → 7/).waitFor();
    await panel.scrollIntoViewIfNeeded();
    await screenshot(page, 'drift-found');
    const status = page.url();
    for (const [view, width, colorScheme] of [['wide', 1440, 'light'], ['phone', 360, 'dark']] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      await page.goto(status);
      await panel.getByText('connection_limit of postgres_database.main is 7').waitFor();
      await panel.scrollIntoViewIfNeeded();
      await screenshot(page, `drift-${view}`);
      assert.equal(await overflow(page), 0, `drift is wider than its window: ${view}`);
      await page.goto(`${baseUrl()}/infrastructure/drift`);
      await page.getByRole('table', { name: 'Drift' }).getByText('connection_limit of postgres_database.main is 7').waitFor();
      await screenshot(page, `drift-causes-${view}`);
      assert.equal(await overflow(page), 0, `the causes of drift are wider than their window: ${view}`);
    }
    await page.goto(`${baseUrl()}/notifications`);
    await page.getByRole('link', { name: `${name} in dev is not as it was asked for` }).waitFor();
    await screenshot(page, 'drift-notice-phone');
    await page.getByRole('link', { name: `${name} in dev is not as it was asked for` }).click();
    await page.waitForURL(status);
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(status);
    await panel.getByRole('button', { name: 'Revert' }).click();
    await screenshot(page, 'drift-revert');
    await page.getByRole('dialog').getByRole('button', { name: `Revert ${name}` }).click();
    await page.waitForURL(/\/infrastructure\/requests\/[^/]+$/);
    await page.getByText(/^Completed in /).waitFor();
    const [{ datconnlimit }] = await administer(stage().data, `SELECT datconnlimit FROM pg_database WHERE datname = '${database}'`);
    assert.equal(datconnlimit, 50);
    await openStatus(page, name);
    await panel.getByText(/It is as it was asked for, checked/).waitFor();
    assert.deepEqual(problems, []);
    await close();
  });
}
