import { useAppLocation, useRouteRef } from '@backstage/frontend-plugin-api';
import { Container } from '@backstage/ui';
import { ChangePage } from '../change/ChangePage';
import type { ChangeAction } from '../change/useChange';
import { resourcesRouteRef } from '../routes';
import { ResourcesPage } from './ResourcesPage';

/** Resources is the list of what lives, or the form that changes or upgrades the one that the address names. */
export function Resources() {
  const { id, action } = useChanged();
  return (
    <main>
      <Container>{id && action ? <ChangePage key={`${action} ${id}`} id={id} action={action} /> : <ResourcesPage />}</Container>
    </main>
  );
}

const ACTIONS: Record<string, ChangeAction> = { change: 'update', upgrade: 'upgrade' };

function useChanged(): { id?: string; action?: ChangeAction } {
  const { pathname } = useAppLocation();
  const list = useRouteRef(resourcesRouteRef)?.();
  if (!list || !pathname.startsWith(`${list}/`)) {
    return {};
  }
  const [id, verb] = pathname.slice(list.length + 1).split('/');
  return { id: decodeURIComponent(id), action: ACTIONS[verb] };
}
