import { useAppLocation, useRouteRef } from '@backstage/frontend-plugin-api';
import { Container } from '@backstage/ui';
import { ChangePage } from '../change/ChangePage';
import { resourcesRouteRef } from '../routes';
import { ResourcesPage } from './ResourcesPage';

/** Resources is the list of what lives, or the form that changes the one that the address names. */
export function Resources() {
  const id = useChangedId();
  return (
    <main>
      <Container>{id ? <ChangePage key={id} id={id} /> : <ResourcesPage />}</Container>
    </main>
  );
}

function useChangedId(): string | undefined {
  const { pathname } = useAppLocation();
  const list = useRouteRef(resourcesRouteRef)?.();
  const [id, verb] = list && pathname.startsWith(`${list}/`) ? pathname.slice(list.length + 1).split('/') : [];
  return id && verb === 'change' ? decodeURIComponent(id) : undefined;
}
