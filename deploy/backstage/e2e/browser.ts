import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';

/** baseUrl is where the portal is, from PORTAL_BASE_URL, without a slash at the end. */
export function baseUrl(): string {
  const url = process.env.PORTAL_BASE_URL;
  if (!url) {
    throw new Error('PORTAL_BASE_URL is not set: the portal was not started');
  }
  return url.replace(/\/$/, '');
}

/** launchBrowser starts Chromium: the one that CHROMIUM names, else /usr/bin/chromium. It calls nobody but the portal. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** What a page is opened with; the default is a laptop in the light theme. */
export type PageOptions = { width?: number; height?: number; colorScheme?: 'light' | 'dark' };

/**
 * Visit is one person's browser window: its own session, and whatever went wrong in it. `problems` holds uncaught errors,
 * console errors and what the portal refused or lacked, oldest first.
 */
export type Visit = { page: Page; problems: string[]; close(): Promise<void> };

/** openPage opens a window of its own, so that several people can be signed in at once. */
export async function openPage(browser: Browser, options: PageOptions = {}): Promise<Visit> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 900 },
    colorScheme: options.colorScheme ?? 'light',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const problems: string[] = [];
  page.on('pageerror', error => problems.push(`uncaught: ${error.message}`));
  page.on('console', message => {
    // What could not be loaded is told below, with its address.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      problems.push(`console: ${message.text()}`);
    }
  });
  page.on('response', response => {
    // A page of ours asks the catalog whether something new is there yet.
    const notYet = response.status() === 404 && response.url().includes('/api/catalog/entities/by-name/');
    if (response.status() >= 400 && !notYet) {
      problems.push(`${response.status()} ${response.request().method()} ${response.url()}`);
    }
  });
  return { page, problems, close: () => context.close() };
}

/** signIn chooses a person on the sign-in page and waits for the portal's first page. `name` is as shown: "Ann Okafor". */
export async function signIn(page: Page, name: string): Promise<void> {
  await page.goto(`${baseUrl()}/`);
  await page.getByRole('button', { name: `Sign in as ${name}` }).click();
  await page.getByRole('navigation', { name: 'Breadcrumbs' }).waitFor();
}

/** signOut leaves, and waits for the sign-in page. */
export async function signOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('list', { name: 'People' }).waitFor();
}

/** screenshot saves what the page shows as `<name>.png` in E2E_OUT, else in e2e/out, and returns the file. */
export async function screenshot(page: Page, name: string): Promise<string> {
  const directory = process.env.E2E_OUT || path.join(import.meta.dirname, 'out');
  mkdirSync(directory, { recursive: true });
  const file = path.join(directory, `${name}.png`);
  await page.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
  return file;
}
