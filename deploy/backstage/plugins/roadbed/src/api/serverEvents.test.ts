import { readServerEvents, type ServerEvent } from './serverEvents';

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(new TextEncoder().encode(chunk));
      }
      controller.close();
    },
  });
}

async function readAll(...chunks: string[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of readServerEvents(streamOf(...chunks))) {
    events.push(event);
  }
  return events;
}

test.each<[string, string[], ServerEvent[]]>([
  [
    'an event with its id, name and data',
    ['id: 7\nevent: step.started\ndata: {"a":1}\n\n'],
    [{ id: '7', event: 'step.started', data: '{"a":1}' }],
  ],
  ['an event cut in the middle', ['id: 7\nda', 'ta: x\n', '\n'], [{ id: '7', event: 'message', data: 'x' }]],
  ['lines that end with carriage returns', ['id: 1\r\ndata: x\r', '\n\r\n'], [{ id: '1', event: 'message', data: 'x' }]],
  ['data of several lines', ['data: a\ndata: b\n\n'], [{ id: '', event: 'message', data: 'a\nb' }]],
  ['comments, which say nothing', [': here\n\n: beat\n\n'], []],
  [
    'an id that holds for the events after it',
    ['id: 3\ndata: a\n\ndata: b\n\n'],
    [
      { id: '3', event: 'message', data: 'a' },
      { id: '3', event: 'message', data: 'b' },
    ],
  ],
  ['an event that never came whole', ['data: a\n\ndata: b\n'], [{ id: '', event: 'message', data: 'a' }]],
])('reads %s', async (_, chunks, expected) => {
  expect(await readAll(...chunks)).toEqual(expected);
});

test('a stream that falls silent is given up', async () => {
  jest.useFakeTimers();
  try {
    const silent = new ReadableStream<Uint8Array>({ start() {} });
    const reading = readServerEvents(silent).next();
    const outcome = expect(reading).rejects.toThrow('the event stream fell silent');
    await jest.advanceTimersByTimeAsync(46_000);
    await outcome;
  } finally {
    jest.useRealTimers();
  }
});
