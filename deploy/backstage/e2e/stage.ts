import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser } from 'playwright-core';
import { launchBrowser } from './browser.ts';

const START_WITHIN_MS = 240_000;
const STOP_WITHIN_MS = 60_000;

/** Stage is what every test plays on: one Roadbed with its portal and everything behind it, and one browser. */
export type Stage = {
  browser: Browser;
  /** data is the directory that `roadbed dev` keeps everything in. */
  data: string;
  /** offerings is the folder that its offerings are read from when it starts: a copy of its own. */
  offerings: string;
  /** restart stops Roadbed with its portal and starts them again on the same data; who was signed in stays so. */
  restart(): Promise<void>;
  /** stop ends it all, and deletes what it made. It may be called when nothing was started. */
  stop(): Promise<void>;
};

/**
 * startStage starts `roadbed dev` on an empty directory and waits until the portal answers; the address is in
 * PORTAL_BASE_URL from then on. With E2E_DATA it uses the one that runs on that directory instead, and leaves it running.
 */
export async function startStage(): Promise<Stage> {
  const running = process.env.E2E_DATA;
  if (running) {
    process.env.PORTAL_BASE_URL = `http://localhost:${readSite(running).portal_port}`;
    const browser = await launchBrowser();
    const restart = () => Promise.reject(new Error('only a Roadbed of its own is restarted: run without E2E_DATA'));
    return { browser, data: running, offerings: '', restart, stop: () => browser.close() };
  }
  // PostgreSQL runs as a user of its own when we are root, and has to reach its data.
  const data = mkdtempSync(path.join(tmpdir(), 'roadbed-e2e-'));
  chmodSync(data, 0o755);
  const offerings = path.join(data, 'offerings');
  cpSync(path.resolve(import.meta.dirname, '../../../backstage-templates'), offerings, { recursive: true });
  let roadbed = startRoadbed(data, offerings);
  try {
    process.env.PORTAL_BASE_URL = await roadbed.opened;
    const browser = await launchBrowser();
    return {
      browser,
      data,
      offerings,
      async restart() {
        await roadbed.stop();
        roadbed = startRoadbed(data, offerings);
        await roadbed.opened;
      },
      async stop() {
        await browser.close();
        await roadbed.stop();
        rmSync(data, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await roadbed.stop();
    throw error;
  }
}

/** readSite reads the ports of the `roadbed dev` that runs on a directory. */
export function readSite(data: string): { portal_port: number; databases_port: number } {
  return JSON.parse(readFileSync(path.join(data, 'site.json'), 'utf8'));
}

function startRoadbed(data: string, offerings: string): { opened: Promise<string>; stop(): Promise<void> } {
  const portal = path.resolve(import.meta.dirname, '..');
  const child = spawn(
    required('ROADBED'),
    ['dev', '--data', data, '--offerings', offerings, '--mirror', required('MIRROR'), '--portal', portal, '--node', process.env.NODE ?? process.execPath],
    { cwd: path.resolve(portal, '../..'), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const said: string[] = [];
  const opened = new Promise<string>((resolve, reject) => {
    const giveUp = (why: string) => reject(new Error(`${why}; it said:\n${said.join('\n')}\nIts logs are in ${data}`));
    const timer = setTimeout(() => giveUp(`the portal was not up after ${START_WITHIN_MS / 1000} s`), START_WITHIN_MS);
    // Read to the end, or a full pipe would stop it.
    createInterface({ input: child.stdout }).on('line', line => {
      said.push(line);
      const address = /^\s*Open\s+(http\S+)/.exec(line)?.[1];
      if (address) {
        clearTimeout(timer);
        resolve(address);
      }
    });
    child.on('error', error => giveUp(`cannot start ${required('ROADBED')}: ${error.message}`));
    child.on('exit', code => {
      clearTimeout(timer);
      giveUp(`roadbed dev ended with status ${code}`);
    });
  });
  return { opened, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await ended;
  clearTimeout(timer);
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set; \`make e2e\` sets it`);
  }
  return path.resolve(value);
}
