import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseUrl, openPage, screenshot, signIn, signOut } from './browser.ts';
import type { Stage } from './stage.ts';

// The Create page adds its filters to the address as soon as it has them.
const CREATE_PAGE = /\/create(\/|\?|$)/;

/** signInCases are people coming and going. */
export function signInCases(stage: () => Stage) {
  test('a visitor is offered the three people, in light and in dark', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, close } = await openPage(stage().browser, { colorScheme });
      await page.goto(`${baseUrl()}/`);
      const people = page.getByRole('list', { name: 'People' }).getByRole('button');
      await people.first().waitFor();
      assert.equal(await people.count(), 3);
      await screenshot(page, `sign-in-${colorScheme}`);
      await close();
    }
  });

  test('ann signs in, lands on the Create page and stays signed in', async () => {
    const { page, problems, close } = await openPage(stage().browser);
    await signIn(page, 'Ann Okafor');
    await page.waitForURL(CREATE_PAGE);
    await page.getByRole('heading', { name: 'Templates' }).first().waitFor();
    await screenshot(page, 'create');

    await page.reload();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.goto(`${baseUrl()}/catalog?filters[kind]=group`);
    await page.getByRole('link', { name: 'Payments' }).first().waitFor();
    await screenshot(page, 'catalog');
    assert.deepEqual(problems, []);
    await close();
  });

  test('the sign-in page works by keyboard and on a phone', async () => {
    const { page, close } = await openPage(stage().browser, { width: 360, height: 740 });
    await page.goto(`${baseUrl()}/`);
    await page.getByRole('list', { name: 'People' }).waitFor();
    await screenshot(page, 'sign-in-phone');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForURL(CREATE_PAGE);
    await page.getByRole('heading', { name: 'Templates' }).first().waitFor();
    await screenshot(page, 'create-phone');
    await close();
  });

  test('signing out leads back to the sign-in page, and someone else can sign in', async () => {
    const { page, close } = await openPage(stage().browser, { colorScheme: 'dark' });
    await signIn(page, 'Ben Larsen');
    await page.waitForURL(CREATE_PAGE);
    await page.getByRole('heading', { name: 'Templates' }).first().waitFor();
    await screenshot(page, 'create-dark');
    await signOut(page);
    await page.reload();
    await page.getByRole('list', { name: 'People' }).waitFor();
    await signIn(page, 'Pat Moreau');
    await close();
  });
}
