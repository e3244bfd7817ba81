import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { AuthService, DiscoveryService } from '@backstage/backend-plugin-api';

/** What the double was sent. */
export type Received = { method: string; url: string; headers: IncomingHttpHeaders; body: unknown };

/** What the double answers; text goes out as it stands, anything else as JSON. */
export type Answer = { status: number; headers?: Record<string, string>; body?: unknown };

/**
 * startSidecar answers HTTP in Roadbed's place, with the answers given in turn (the last one again and again), and keeps
 * what it was sent. It stops with the test.
 */
export async function startSidecar(test: TestContext, ...answers: Answer[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    received.push({
      method: request.method!,
      url: request.url!,
      headers: request.headers,
      body: text ? JSON.parse(text) : undefined,
    });
    const answer = answers[Math.min(received.length, answers.length) - 1];
    const plain = typeof answer.body === 'string';
    response.writeHead(answer.status, { 'content-type': plain ? 'text/plain' : 'application/json', ...answer.headers });
    response.end(plain ? answer.body : JSON.stringify(answer.body ?? {}));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/roadbed` };
}

/** backstageAt is the part of Backstage that the client uses; its tokens say on whose behalf they are. */
export function backstageAt(url: string) {
  const auth: Pick<AuthService, 'getPluginRequestToken'> = {
    async getPluginRequestToken({ onBehalfOf, targetPluginId }) {
      const { userEntityRef } = onBehalfOf.principal as { userEntityRef: string };
      return { token: `${targetPluginId}-for-${userEntityRef}` };
    },
  };
  const discovery: Pick<DiscoveryService, 'getBaseUrl'> = { getBaseUrl: async () => url };
  return { auth: auth as AuthService, discovery: discovery as DiscoveryService };
}
