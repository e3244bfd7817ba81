import type { Page } from 'playwright-core';
import { baseUrl, openPage, signIn } from './browser.ts';
import { startStage } from './stage.ts';

// How long it takes from a keystroke in the form until the price and the verdict for it are on show, and then its advice, in
// a real browser against a real sidecar on this machine. `make bench-form` prints it.
const KEYSTROKES = Number(process.env.KEYSTROKES ?? 200);
/** Advice comes after a pause, so that fewer of it are waited for. */
const ADVISED = Math.ceil(KEYSTROKES / 5);
const WARM_UP = 10;
/** What the rest of the form costs by itself: 100 GB are usual. */
const WITHOUT_STORAGE = '$85.50 / month';
/** What is waited for: a selector of what the verdict changes, and of what only advice does. */
const PRICE = 'section[aria-label="Price and policy"] p';
const EFFECTS = 'ul[aria-label="Compared with the defaults"]';

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

  const verdicts: Measured[] = [];
  for (let turn = 0; turn < WARM_UP + KEYSTROKES; turn++) {
    verdicts.push(await typeOnce(page, turn, PRICE));
  }
  const advices: Measured[] = [];
  for (let turn = 0; turn < ADVISED; turn++) {
    advices.push(await typeOnce(page, turn, EFFECTS));
  }
  report('keystroke to verdict', verdicts.slice(WARM_UP));
  report('keystroke to advice, its pause of 300 ms included', advices);
  await close();
} finally {
  await stage.stop();
}

/** Measured is milliseconds: from the key to the paint, and of the last call to the sidecar in between. */
type Measured = { shown: number; call: number };

/**
 * typeOnce turns a 5, which is too small to be counted, into 5 and another digit, and waits until what `selector` names has
 * changed for it and is painted.
 */
async function typeOnce(page: Page, turn: number, selector: string): Promise<Measured> {
  const storage = page.getByRole('spinbutton', { name: 'Storage (GB)' });
  await storage.fill('5');
  await page.getByText(WITHOUT_STORAGE, { exact: true }).waitFor();
  if (selector === EFFECTS) {
    await page.locator(EFFECTS).waitFor({ state: 'detached' });
  }
  await storage.press('End');
  const watching = await page.evaluateHandle(watched => {
    const text = () => document.querySelector(watched)?.textContent;
    const before = text();
    return {
      measured: new Promise<{ shown: number; call: number }>(resolve => {
        let pressed = 0;
        document.addEventListener('keydown', () => (pressed = performance.now()), { once: true, capture: true });
        const watch = new MutationObserver(() => {
          if (!pressed || text() === before) {
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
    };
  }, selector);
  await page.keyboard.type(String(2 + (turn % 8)));
  return watching.evaluate(({ measured }) => measured);
}

function report(what: string, measured: Measured[]): void {
  console.log(`${what}, ${measured.length} keystrokes: ${describe(measured.map(({ shown }) => shown))}`);
  console.log(`  of which the last call to the sidecar: ${describe(measured.map(({ call }) => call))}`);
}

function describe(samples: number[]): string {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => `${sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1)} ms`;
  return `p50 ${at(0.5)}, p95 ${at(0.95)}, worst ${at(1)}`;
}
