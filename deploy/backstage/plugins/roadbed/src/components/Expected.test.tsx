import { render, screen } from '@testing-library/react';
import { aRequest } from '../testing/fixtures';
import { Expected } from './Expected';
import { Steps } from './Steps';

describe('Expected', () => {
  const expected = { by: new Date(2026, 4, 3, 14, 32).toISOString(), p50_seconds: 240, p90_seconds: 360, basis: 20, late: false };
  const message = 'half of the last 20 like it took 4 min, 90 % at most 6 min';

  it('says by when nine in ten are done, and what that is told from', () => {
    const { container } = render(<Expected request={aRequest({ state: 'applying', expected: { ...expected, message } })} />);
    expect(container.textContent).toMatch(/^90 % of these finish by .*14:32: half of the last 20 like it took 4 min/);
  });

  it('names no time that is past', () => {
    const late = { ...expected, late: true, message: 'it takes longer than 90 % of the last 20 like it' };
    const { container } = render(<Expected request={aRequest({ state: 'applying', expected: late })} />);
    expect(container.textContent).toBe('It takes longer than 90 % of the last 20 like it');
  });

  it('says nothing where nothing is told', () => {
    const { container } = render(<Expected request={aRequest()} />);
    expect(container).toBeEmptyDOMElement();
  });

  it('names a stalled step with the last line of its log', () => {
    const [step] = aRequest().steps;
    const stalled = { after_seconds: 120, basis: 200, message: 'stalled: 99 % of the last 200 took at most 2 min', last_line: 'still creating…' };
    render(<Steps steps={[{ ...step!, status: 'in_progress', finished_at: null, stalled }]} />);
    expect(screen.getByText('stalled: 99 % of the last 200 took at most 2 min: still creating…')).toBeInTheDocument();
  });
});
