import { screen } from '@testing-library/react';
import { overLimit } from '../testing/fixtures';
import { renderPage } from '../testing/renderPage';
import { SidecarDouble } from '../testing/SidecarDouble';
import { Findings } from './Findings';

test('a finding of a plan names the parameter, the resource and why there is such a rule', () => {
  const finding = { ...overLimit, address: 'aws_db_instance.main', attribute: 'publicly_accessible', source: 'https://rules.example/7' };
  renderPage(<Findings findings={[finding]} />, { sidecar: new SidecarDouble() });
  expect(screen.getByRole('listitem')).toHaveTextContent('about multi_az, of aws_db_instance.main publicly_accessible');
  expect(screen.getByRole('link', { name: 'Why there is the rule cost-limit' })).toHaveAttribute('href', 'https://rules.example/7');
});

test('what an exemption lifts says who granted it, until when and why', () => {
  const exemption = { until: '2027-01-31', granted_by: 'user:default/pat', reason: 'The load test.' };
  renderPage(<Findings findings={[{ ...overLimit, level: 'info', exemption }]} />, { sidecar: new SidecarDouble() });
  expect(screen.getByRole('listitem')).toHaveTextContent('Exempted:');
  expect(screen.getByRole('listitem')).toHaveTextContent('pat exempted this until 2027-01-31: The load test.');
});
