import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseUrl, openPage, screenshot, signIn } from './browser.ts';
import { overflow } from './pages.ts';
import type { Stage } from './stage.ts';

const REASON = 'The disk is being made larger.';

/** pauseCases are what the platform team holds up for a while. */
export function pauseCases(stage: () => Stage) {
  test('pat pauses everything with a reason, ann reads it in the form, and pat resumes', async () => {
    const pat = await openPage(stage().browser, { width: 1440, height: 900 });
    await signIn(pat.page, 'Pat Moreau');
    await pat.page.goto(`${baseUrl()}/infrastructure/policy`);
    await pat.page.getByText('Nothing is paused.').waitFor();
    await pat.page.getByLabel('Reason, which whoever waits reads').fill(REASON);
    await pat.page.getByRole('button', { name: 'Pause', exact: true }).click();
    await pat.page.getByRole('list', { name: 'Pauses' }).getByText(REASON).waitFor();
    await screenshot(pat.page, 'policy-paused');

    const ann = await openPage(stage().browser, { width: 360, height: 740, colorScheme: 'dark' });
    await signIn(ann.page, 'Ann Okafor');
    await ann.page.goto(`${baseUrl()}/create/templates/default/postgres-database`);
    const panel = ann.page.getByRole('region', { name: 'Price and policy' });
    await panel.getByText('You may ask now, and it will wait:').waitFor();
    await panel.getByText(REASON).waitFor();
    await panel.scrollIntoViewIfNeeded();
    await screenshot(ann.page, 'form-paused-phone');
    assert.equal(await overflow(ann.page), 0, 'the form is wider than its window');
    await ann.page.goto(`${baseUrl()}/infrastructure/requests`);
    await ann.page.getByText(`Everything is paused: ${REASON}`).waitFor();
    await screenshot(ann.page, 'requests-paused-phone');
    assert.equal(await overflow(ann.page), 0, 'the requests are wider than their window');

    await pat.page.getByRole('button', { name: 'Resume everything' }).click();
    await pat.page.getByText('Nothing is paused.').waitFor();
    await ann.page.goto(`${baseUrl()}/infrastructure/policy`);
    await ann.page.getByText('Nothing is paused.').waitFor();
    assert.equal(await ann.page.getByRole('button', { name: 'Pause', exact: true }).count(), 0);
    await screenshot(ann.page, 'policy-phone');
    assert.equal(await overflow(ann.page), 0, 'the policy is wider than its window');
    assert.deepEqual([...pat.problems, ...ann.problems], []);
    await ann.close();
    await pat.close();
  });
}
