/** One event of a text/event-stream. `id` is the last one seen, as the standard has it. */
export type ServerEvent = { id: string; event: string; data: string };

/** An open stream says something at least this often, if only a comment; a silent one is taken for dead. */
const SILENCE_MS = 45_000;

/**
 * readServerEvents reads a text/event-stream until it ends. Browsers' EventSource cannot send a token, hence this.
 * It throws when the connection breaks or stays silent for 45 seconds.
 */
export async function* readServerEvents(
  body: ReadableStream<Uint8Array>,
  lastEventId = '',
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let id = lastEventId;
  let event = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await withinSilence(reader.read());
      if (done) {
        return;
      }
      rest += decoder.decode(value, { stream: true });
      // A chunk may end between \r and \n, so a final \r waits for what follows it.
      const lines = rest.split(/\r\n|\n|\r(?=[^])/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) {
            yield { id, event: event || 'message', data: data.join('\n') };
          }
          event = '';
          data = [];
          continue;
        }
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'id') {
          id = text;
        } else if (field === 'event') {
          event = text;
        } else if (field === 'data') {
          data.push(text);
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function withinSilence<T>(read: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the event stream fell silent')), SILENCE_MS);
  });
  try {
    return await Promise.race([read, silence]);
  } finally {
    clearTimeout(timer);
  }
}
