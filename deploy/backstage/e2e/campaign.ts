import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Caller } from './api.ts';
import { baseUrl, openPage, screenshot, signIn } from './browser.ts';
import { overflow, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';
import { until } from './until.ts';

const VERSION = '9.0.0';
const MODULE = 'static-site/module/local/main.tf';
const CONTENT = 'resource "terraform_data" "content" {';

/** campaignCases roll a version out over what others have made, and keep one team's away from it. */
export function campaignCases(stage: () => Stage) {
  test('pat plans a version, approves what the plans do and rolls it out; search opts out', async () => {
    const [ann, ben] = [await Caller.signIn('ann'), await Caller.signIn('ben')];
    const shop = [await askForSite(ann, 'payments', ''), await askForSite(ann, 'payments', 'Closed today.')];
    await askForSite(ben, 'search', '');
    publish(stage().offerings);
    await stage().restart();

    const pat = await openPage(stage().browser, { width: 1440, height: 900, colorScheme: 'dark' });
    await signIn(pat.page, 'Pat Moreau');
    await pat.page.goto(`${baseUrl()}/infrastructure/campaigns`);
    const form = pat.page.getByRole('form', { name: 'Roll a version out' });
    await form.getByRole('button', { name: /Offering/ }).click();
    await pat.page.getByRole('option', { name: 'Static Site' }).click();
    await form.getByRole('button', { name: 'Plan it' }).click();
    await pat.page.waitForURL(/\/infrastructure\/campaigns\/[^/]+$/);
    const address = pat.page.url();
    const groups = pat.page.getByRole('table', { name: 'Groups' });
    await groups.getByText(/× replace terraform data/).waitFor();
    await groups.getByText(/× update terraform data/).waitFor();
    await pat.page.getByText(/being planned/).first().waitFor({ state: 'hidden' });
    await look(pat.page, 'campaign-planned');

    const away = await openPage(stage().browser, { width: 360, height: 740 });
    await signIn(away.page, 'Ben Larsen');
    await away.page.goto(address);
    await away.page.getByRole('button', { name: 'Opt search out' }).click();
    await away.page.getByRole('textbox', { name: /Reason/ }).fill('The index is being rebuilt.');
    await look(away.page, 'campaign-opt-out-phone');
    await away.page.getByRole('button', { name: 'Opt out', exact: true }).click();
    await away.page.getByText('search has opted out: The index is being rebuilt.').waitFor();
    await look(away.page, 'campaign-phone');

    // What replaces something is typed; what only updates is not.
    await pat.page.getByRole('button', { name: /^Approve replace terraform data/ }).click();
    await pat.page.getByLabel(/^Type replace terraform_data/).fill('replace terraform_data');
    await look(pat.page, 'campaign-approve');
    await pat.page.getByRole('button', { name: /^Approve for / }).click();
    await pat.page.getByRole('button', { name: /^Approve update terraform data/ }).click();
    await pat.page.getByRole('button', { name: /^Approve for / }).click();
    await pat.page.getByRole('button', { name: 'Start' }).click();
    await pat.page.getByRole('button', { name: 'Halt' }).waitFor();
    await look(pat.page, 'campaign-running');
    for (const id of shop) {
      await until('the upgrade', 60_000, async () => {
        const { instance } = (await ann.get(`/api/roadbed/instances/${id}`)).body;
        return instance.offering_version === VERSION && instance.state === 'ready' ? instance : undefined;
      });
    }
    await pat.page.getByRole('table', { name: 'Resources' }).getByText('Opted out').waitFor();
    await pat.page.getByText(/^2 upgraded|, 2 upgraded|\d+ upgraded/).first().waitFor();
    await look(pat.page, 'campaign-done');
    assert.deepEqual([...pat.problems, ...away.problems], []);
    await pat.page.goto(`${baseUrl()}/infrastructure/campaigns`);
    await pat.page.getByRole('link', { name: `Static Site to ${VERSION}` }).waitFor();
    await look(pat.page, 'campaigns-listed');
    await away.close();
    await pat.close();
  });
}

/** askForSite has a page made, and gives its instance's id. */
async function askForSite(caller: Caller, team: string, message: string): Promise<string> {
  const { status, body } = await caller.post('/api/roadbed/requests', {
    offering: 'static-site',
    parameters: {
      site_name: uniqueName(message ? 'notice' : 'plain'),
      environment: 'dev',
      title: 'Hours',
      message,
      team_owner: `group:default/${team}`,
      cost_center: 'CC-1234',
    },
  });
  assert.equal(status, 202, JSON.stringify(body));
  await until('the site', 60_000, async () => {
    const { request } = (await caller.get(`/api/roadbed/requests/${body.request.id}`)).body;
    assert.notEqual(request.state, 'failed', JSON.stringify(request.error));
    return request.state === 'succeeded' ? request : undefined;
  });
  return body.request.instance_id;
}

/** publish writes the next version of the site: it keeps more of each, and makes anew what has a message. */
function publish(offerings: string): void {
  const contract = path.join(offerings, 'static-site/offering.yaml');
  writeFileSync(contract, readFileSync(contract, 'utf8').replace(/^version: .*$/m, `version: ${VERSION}`));
  const module = path.join(offerings, MODULE);
  const text = readFileSync(module, 'utf8');
  assert.ok(text.includes(CONTENT));
  writeFileSync(module, text.replace(CONTENT, `${CONTENT}\n  triggers_replace = var.message == "" ? null : ["9"]`).replace('input = {', 'input = {\n    layout           = "9"'));
}

async function look(page: Page, what: string): Promise<void> {
  await screenshot(page, what);
  assert.equal(await overflow(page), 0, `${what} is wider than its window`);
}
