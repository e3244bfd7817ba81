import { ResponseError } from '@backstage/errors';
import { refusal } from '../testing/SidecarDouble';
import { followEvents } from './follow';
import type { StreamOptions } from './RoadbedApi';
import type { ServerEvent } from './serverEvents';

type Connection = (options: StreamOptions) => AsyncGenerator<ServerEvent>;

function event(id: number): ServerEvent {
  return { id: String(id), event: 'step.started', data: '{}' };
}

/** Follows one connection after the other, and notes what was asked and told. */
async function follow(...connections: Connection[]) {
  const asked: (string | undefined)[] = [];
  const told: string[] = [];
  const abort = new AbortController();
  await followEvents({
    after: '4',
    signal: abort.signal,
    firstDelayMs: 1,
    open: options => {
      asked.push(options.after);
      const connection = connections.shift();
      if (!connection) {
        throw new Error('one connection too many');
      }
      return connection(options);
    },
    onEvent: ({ id }) => told.push(id),
    onEnd: async () => connections.length === 0,
    onConnection: open => told.push(open ? 'open' : 'closed'),
  });
  return { asked, told };
}

test('a broken stream is resumed after the last event, and nothing comes twice', async () => {
  const { asked, told } = await follow(
    async function* breaks({ onOpen }) {
      onOpen?.();
      yield event(5);
      yield event(6);
      throw new TypeError('network error');
    },
    async function* ends({ onOpen }) {
      onOpen?.();
      yield event(7);
    },
  );
  expect(asked).toEqual(['4', '6']);
  expect(told).toEqual(['open', '5', '6', 'closed', 'open', '7']);
});

test('a stream that ends before its time is taken up again', async () => {
  const { asked } = await follow(
    async function* ends() {
      yield event(5);
    },
    async function* ends() {
      yield event(6);
    },
  );
  expect(asked).toEqual(['4', '5']);
});

test.each([400, 401, 403, 404])('a refusal with status %i is final', async status => {
  const { asked, told } = await follow(
    async function* refuses() {
      throw await ResponseError.fromResponse(refusal(status, { name: 'Error', message: 'no' }));
    },
    async function* unreached() {
      yield event(5);
    },
  );
  expect(asked).toEqual(['4']);
  expect(told).toEqual(['closed']);
});

test('an overloaded sidecar is tried again', async () => {
  const { asked } = await follow(
    async function* refuses() {
      throw await ResponseError.fromResponse(refusal(503, { name: 'ServiceUnavailableError', message: 'later' }));
    },
    async function* ends() {
      yield event(5);
    },
  );
  expect(asked).toEqual(['4', '4']);
});
