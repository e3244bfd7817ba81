import path from 'node:path';
import { openPage, signIn } from './browser.ts';
import { fillForm, followRequest, openStatus, submitButton } from './pages.ts';
import { startStage } from './stage.ts';

// Takes the pictures of the README anew: `make build`, then run this with ROADBED and MIRROR set as `make e2e` does.
const images = path.resolve(import.meta.dirname, '../../../docs/images');
const stage = await startStage();
try {
  const { page } = await openPage(stage.browser, { width: 1440, height: 1080 });
  const picture = (name: string) => page.screenshot({ path: path.join(images, `${name}.png`), animations: 'disabled', caret: 'hide' });
  await signIn(page, 'Ann Okafor');
  await fillForm(page, 'PostgreSQL Database', [['Database name', 'orders-store'], ['Cost center', 'CC-1234'], ['Storage (GB)', '100']]);
  await page.getByRole('button', { name: 'Back' }).click();
  await page.getByRole('button', { name: 'Back' }).click();
  await page.getByLabel('Storage (GB)').waitFor();
  await page.getByText('Storage (GB): up to 156 here').waitFor();
  await picture('create-form');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Review' }).click();
  await submitButton(page).click();
  await followRequest(page);
  await page.getByText(/^Completed in /).waitFor();
  await openStatus(page, 'orders-store');
  await page.getByRole('table', { name: 'Cost by item' }).waitFor();
  await page.getByRole('region', { name: 'Drift' }).getByRole('button', { name: 'Check now' }).waitFor();
  await page.getByText('asked by you').waitFor();
  await picture('status-tab');
} finally {
  await stage.stop();
}
