import type { Page } from 'playwright-core';
import { baseUrl, openPage, signIn } from './browser.ts';
import { startStage } from './stage.ts';

// How long it takes from a keystroke in the form until the price and the verdict for it are on show, in a real browser
// against a real sidecar on this machine. `make bench-form` prints it.
const KEYSTROKES = Number(process.env.KEYSTROKES ?? 200);
const WARM_UP = 10;
/** What the rest of the form costs by itself: 100 GB are usual. */
const WITHOUT_STORAGE = '$85.50 / month';

const stage = await startStage();
try {
  const { page, close } = await openPage(stage.browser);
  await signIn(page, 'Ann Okafor');
  const filled = { database_name: 'bench', environment: 'dev', cost_center: 'CC-1234' };
  const query = encodeURIComponent(JSON.stringify(filled));
  await page.goto(`${baseUrl()}/create/templates/default/postgres-database?formData=${query}`);
  await page.getByRole('textbox', { name: 'Team' }).and(page.locator(':not([value=""])')).waitFor();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('spinbutton', { name: 'Storage (GB)' }).waitFor();

  const waits: number[] = [];
  const calls: number[] = [];
  for (let turn = 0; turn < WARM_UP + KEYSTROKES; turn++) {
    const measured = await typeOnce(page, 2 + (turn % 8));
    if (turn >= WARM_UP) {
      waits.push(measured.shown);
      calls.push(measured.call);
    }
  }
  console.log(`keystroke to verdict, ${KEYSTROKES} keystrokes: ${describe(waits)}, the pause of 100 ms included`);
  console.log(`of which the call to the sidecar:        ${describe(calls)}`);
  await close();
} finally {
  await stage.stop();
}

/** typeOnce turns a 5, which is too small to be counted, into 5 and `digit`, and waits until the price for that is painted. */
async function typeOnce(page: Page, digit: number): Promise<{ shown: number; call: number }> {
  const storage = page.getByRole('spinbutton', { name: 'Storage (GB)' });
  await storage.fill('5');
  await page.getByText(WITHOUT_STORAGE, { exact: true }).waitFor();
  await storage.press('End');
  const watching = await page.evaluateHandle(() => ({
    measured: new Promise<{ shown: number; call: number }>(resolve => {
      const price = () => document.querySelector('section[aria-label="Price and policy"] p')?.textContent;
      const before = price();
      let pressed = 0;
      document.addEventListener('keydown', () => (pressed = performance.now()), { once: true, capture: true });
      const watch = new MutationObserver(() => {
        if (!pressed || price() === before) {
          return;
        }
        watch.disconnect();
        requestAnimationFrame(() => {
          const calls = performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/evaluate'));
          performance.clearResourceTimings();
          resolve({ shown: performance.now() - pressed, call: calls.at(-1)!.duration });
        });
      });
      watch.observe(document.body, { subtree: true, childList: true, characterData: true });
    }),
  }));
  await page.keyboard.type(String(digit));
  return watching.evaluate(({ measured }) => measured);
}

function describe(samples: number[]): string {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => `${sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1)} ms`;
  return `p50 ${at(0.5)}, p95 ${at(0.95)}, worst ${at(1)}`;
}
