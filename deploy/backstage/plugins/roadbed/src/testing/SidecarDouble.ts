import type { FetchApi } from '@backstage/frontend-plugin-api';
import type { ErrorInfo } from '../api/types';

/** One call that the pages made. */
export type Call = { method: string; path: string; query: URLSearchParams; headers: Headers; body: unknown };

type Answer = (call: Call) => Response | Promise<Response>;

/**
 * SidecarDouble stands where the network is: the client under test is the real one. What no answer was set for is not
 * found, as it would be at the sidecar.
 */
export class SidecarDouble {
  readonly calls: Call[] = [];
  private readonly answers = new Map<string, Answer>();

  readonly fetchApi: FetchApi = {
    fetch: async (input, init) => {
      const url = new URL(String(input));
      const call = {
        method: init?.method ?? 'GET',
        path: url.pathname,
        query: url.searchParams,
        headers: new Headers(init?.headers),
        body: typeof init?.body === 'string' ? JSON.parse(init.body) : undefined,
      };
      this.calls.push(call);
      const streams = call.headers.get('accept') === 'text/event-stream' ? ' stream' : '';
      const answer = this.answers.get(`${call.method} ${call.path}${streams}`);
      const response = answer ? await answer(call) : refusal(404, { name: 'NotFoundError', message: `Nothing at ${call.path}` });
      init?.signal?.addEventListener('abort', () => response.body?.cancel().catch(() => {}));
      return response;
    },
  };

  /** on sets the answer to a route, such as "GET /requests", or "GET /requests/1/events stream" for an event stream. */
  on(route: string, answer: Answer | object): this {
    this.answers.set(route, typeof answer === 'function' ? (answer as Answer) : () => json(answer));
    return this;
  }

  /** change sets the answer to a change of what `read` gives, which from then on is what `read` gives, however often it is asked. */
  change(read: string, route: string, after: object): this {
    return this.on(route, () => {
      this.on(read, after);
      return json(after);
    });
  }

  /** byDefault sets the answer to a route that has none. */
  byDefault(route: string, answer: object): this {
    return this.answers.has(route) ? this : this.on(route, answer);
  }

  /** callsTo gives the calls to a route, oldest first. */
  callsTo(method: string, path: string): Call[] {
    return this.calls.filter(call => call.method === method && call.path === path);
  }
}

/** json is an answer with a body. */
export function json(body: object, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
}

/** refusal is an error in Backstage's shape. */
export function refusal(statusCode: number, error: ErrorInfo): Response {
  return json({ error, request: { method: 'GET', url: '/' }, response: { statusCode } }, statusCode);
}

/** never is an answer that does not come. */
export function never(): Promise<Response> {
  return new Promise(() => {});
}

/** EventStream is a text/event-stream that the test writes. */
export class EventStream {
  private controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  readonly response = () => {
    const body = new ReadableStream<Uint8Array>({ start: controller => void (this.controller = controller) });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };

  write(text: string) {
    this.controller!.enqueue(new TextEncoder().encode(text));
  }

  send(id: number, event: string, data: object = {}) {
    this.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end() {
    this.controller!.close();
  }

  breakOff() {
    this.controller!.error(new TypeError('network error'));
  }
}
