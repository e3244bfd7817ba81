import type { Page } from 'playwright-core';
import { baseUrl, screenshot } from './browser.ts';

/** Fill is one field of a form: its label, and the text to type or whether to tick it. */
export type Fill = [label: string, value: string | boolean];

/** uniqueName is a name that no other run has used. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${Date.now().toString(36)}`;
}

/**
 * fillForm opens an offering from the Create page and fills in its form, up to the review. The fields are given in the
 * form's order; it turns to the next page whenever a field is not on this one. With `shots` each page is saved as it looks.
 */
export async function fillForm(page: Page, offering: string, fills: Fill[], shots?: string): Promise<void> {
  const turn = await fillFields(page, offering, fills, shots);
  while (!(await submitButton(page).isVisible())) {
    await turn();
  }
}

/** fillFields is fillForm up to the page of the last of the fields. It returns what turns to the next page. */
export async function fillFields(page: Page, offering: string, fills: Fill[], shots?: string): Promise<() => Promise<void>> {
  await chooseOffering(page, offering);
  let step = 1;
  const turn = async () => {
    if (shots) {
      await screenshot(page, `${shots}-${step}`);
    }
    step += 1;
    await turnPage(page);
  };
  for (const [label, value] of fills) {
    const named = { name: label, exact: true };
    const field = page
      .getByRole('textbox', named)
      .or(page.getByRole('spinbutton', named))
      .or(page.getByRole('checkbox', named));
    while (!(await field.isVisible())) {
      await turn();
    }
    await (typeof value === 'string' ? field.fill(value) : field.setChecked(value));
  }
  return turn;
}

async function chooseOffering(page: Page, offering: string): Promise<void> {
  await page.goto(`${baseUrl()}/create`);
  const card = page
    .locator('.MuiCard-root')
    .filter({ has: page.getByRole('heading', { name: offering, exact: true }) });
  await card.getByRole('button', { name: 'Choose' }).click();
  await page.getByRole('heading', { name: offering, level: 2 }).waitFor();
  // Their one team is looked up in the catalog, and filled in.
  await page.getByRole('textbox', { name: 'Team' }).and(page.locator(':not([value=""])')).waitFor();
}

/** turnPage leaves a page of a form, and waits until the next one, or the review, is there. */
async function turnPage(page: Page): Promise<void> {
  const id = await page.locator('article [id^="root"]').first().getAttribute('id');
  await page.getByRole('button', { name: /^(Next|Review)$/ }).click();
  await page.locator(`[id="${id}"]`).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Next' }).or(page.getByRole('button', { name: 'Review' })).or(submitButton(page)).waitFor();
}

/** submitButton is the button on the review that starts the task. */
export function submitButton(page: Page) {
  return page.getByRole('button', { name: 'Request', exact: true });
}

/** followRequest goes from a finished task to its request's page, and returns the request's id. */
export async function followRequest(page: Page): Promise<string> {
  await page.getByRole('link', { name: 'Follow the request' }).click();
  await page.waitForURL(/\/infrastructure\/requests\/[^/]+$/);
  return new URL(page.url()).pathname.split('/').at(-1)!;
}

/** openStatus goes from a request's page to the Status tab of what it made, as soon as the catalog has it. */
export async function openStatus(page: Page, name: string): Promise<void> {
  await page.getByRole('link', { name: `Open ${name}` }).click();
  await page.getByRole('button', { name: `Actions for ${name}` }).waitFor();
}

/** overflow is by how many pixels the page can be scrolled sideways. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** readFact reads one line of a panel: the value beside its name. */
export async function readFact(page: Page, panel: string, name: string): Promise<string> {
  const value = page.getByRole('region', { name: panel }).locator(`div:has(> dt:text-is("${name}")) > dd > span`).first();
  return (await value.innerText()).trim();
}
