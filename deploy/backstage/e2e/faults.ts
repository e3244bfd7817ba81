import axe from 'axe-core';
import type { Page } from 'playwright-core';

/**
 * findFaults gives what an accessibility checker has against what a page shows of ours, colours included, as
 * "rule: element". The frame around it is Backstage's.
 */
export async function findFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const checker = (globalThis as unknown as { axe: typeof axe }).axe;
    const { violations } = await checker.run('main', { resultTypes: ['violations'] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`);
  });
}
