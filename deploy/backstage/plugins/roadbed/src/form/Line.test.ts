import { Line, type Job } from './Line';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** Jobs that end when they are told to, or are given up. */
function someJobs() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const job = (name: string): Job => signal => {
    begun.push(name);
    return new Promise(resolve => {
      ends.set(name, resolve);
      signal.addEventListener('abort', () => {
        begun.push(`${name} given up`);
        resolve();
      });
    });
  };
  const end = async (name: string) => {
    ends.get(name)!();
    await jest.advanceTimersByTimeAsync(0);
  };
  return { begun, job, end };
}

test('one job runs at a time, and the newest of those that wait is next', async () => {
  const { begun, job, end } = someJobs();
  const line = new Line(1_000);
  ['a', 'b', 'c'].forEach(name => line.add(job(name)));
  expect(begun).toEqual(['a']);
  await end('a');
  expect(begun).toEqual(['a', 'c']);
  await end('c');
  line.add(job('d'));
  expect(begun).toEqual(['a', 'c', 'd']);
});

test('a job that keeps the next one waiting is given up, and its late end changes nothing', async () => {
  const { begun, job, end } = someJobs();
  const line = new Line(1_000);
  line.add(job('a'));
  await jest.advanceTimersByTimeAsync(5_000);
  line.add(job('b'));
  await jest.advanceTimersByTimeAsync(600);
  line.add(job('c'));
  expect(begun).toEqual(['a']);
  await jest.advanceTimersByTimeAsync(400);
  expect(begun).toEqual(['a', 'a given up', 'c']);
  line.add(job('d'));
  await end('a');
  expect(begun).toEqual(['a', 'a given up', 'c']);
});

test('a cleared line begins nothing more', async () => {
  const { begun, job } = someJobs();
  const line = new Line(1_000);
  line.add(job('a'));
  line.add(job('b'));
  line.clear();
  await jest.advanceTimersByTimeAsync(2_000);
  expect(begun).toEqual(['a', 'a given up']);
});
