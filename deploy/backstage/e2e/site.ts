import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Caller } from './api.ts';
import { openPage, screenshot, signIn } from './browser.ts';
import { fillForm, followRequest, openStatus, submitButton, uniqueName } from './pages.ts';
import type { Stage } from './stage.ts';

// What templates, Terraform, shells, SQL and HTML would each like to read as their own.
const TITLE = `Ann's "status" & <b>more</b> ${'${var.title}'} %{ if true }`;
const MESSAGE = [
  'It\'s "quoted", `ticked` and \\escaped\\n.',
  '',
  '  ${path.module} ${{ parameters.title }} {{ title }} $(id) $HOME %s %{ for x in y }',
  "'; DROP TABLE sites; --\t<script>alert(1)</script> &amp; &#39;",
  'Grüße, 日本語, 🛤️',
].join('\n');

/** siteCases are another offering, and text that must arrive as it was typed. */
export function siteCases(stage: () => Stage) {
  test('a page of text is asked for by form, and arrives byte by byte', async () => {
    const { page, problems, close } = await openPage(stage().browser, { width: 1440, height: 900 });
    const name = uniqueName('status');
    await signIn(page, 'Ann Okafor');
    await fillForm(page, 'Static Site', [
      ['Site name', name],
      ['Page title', TITLE],
      ['Message', MESSAGE],
      ['Cost center', 'CC-1234'],
    ]);
    await screenshot(page, 'site-review');
    await submitButton(page).click();
    const id = await followRequest(page);
    await page.getByText(/^Completed in /).waitFor();
    await openStatus(page, name);
    await screenshot(page, 'site-status');
    assert.deepEqual(problems, []);

    const { body } = await (await Caller.signIn('ann')).get(`/api/roadbed/requests/${id}`);
    const { parameters, outputs } = body.request;
    assert.equal(parameters.message, MESSAGE);
    assert.equal(outputs.message, MESSAGE);
    const html = readFileSync(fileURLToPath(outputs.url), 'utf8');
    assert.equal(unescape(/<p>([^]*)<\/p>/.exec(html)?.[1]), MESSAGE);
    assert.equal(unescape(/<h1>([^]*)<\/h1>/.exec(html)?.[1]), TITLE);

    // And a browser reads it so.
    await page.goto(outputs.url);
    assert.equal(await page.locator('p').evaluate(element => element.textContent), MESSAGE);
    assert.equal(await page.title(), TITLE);
    await screenshot(page, 'site');
    await close();
  });
}

function unescape(html = ''): string {
  const names: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&amp;': '&' };
  return html.replace(/&(lt|gt|quot|#39|amp);/g, entity => names[entity]);
}
