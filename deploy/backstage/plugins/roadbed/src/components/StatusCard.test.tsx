import { screen } from '@testing-library/react';
import { EntityProvider } from '@backstage/plugin-catalog-react';
import { anEntity, anInstance, aRequest, INSTANCE_ID } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { StatusCard } from './StatusCard';

const route = `GET /instances/${INSTANCE_ID}`;

function renderCard(sidecar: SidecarDouble) {
  return renderPage(
    <EntityProvider entity={anEntity}>
      <StatusCard />
    </EntityProvider>,
    { sidecar },
  );
}

test('says in short how an instance stands, and leads to all of it', async () => {
  const { container } = renderCard(new SidecarDouble().on(route, { instance: anInstance(), requests: [aRequest()] }));
  await screen.findByText('Ready');
  const card = screen.getByRole('region', { name: 'Status' });
  expect(card).toHaveTextContent('Cost$85.50 / month');
  expect(card).toHaveTextContent('Newest requestCreate orders-store');
  expect(screen.getByRole('link', { name: /^Connect to it/ })).toHaveAttribute('href', expect.stringContaining('/catalog/dev/resource/'));
  expect(await findFaults(container)).toEqual([]);
});

test('keeps its place, and says what cannot be shown', async () => {
  const { unmount } = renderCard(new SidecarDouble().on(route, never));
  expect(await screen.findByRole('region', { name: 'Status' })).toBeInTheDocument();
  unmount();
  renderCard(new SidecarDouble().on(route, () => refusal(503, { name: 'ServiceUnavailableError', message: 'It is away.' })));
  expect(await screen.findByRole('alert')).toHaveTextContent('cannot be shown right now');
});
