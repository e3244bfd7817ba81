import { useAppLocation, useRouteRef } from '@backstage/frontend-plugin-api';
import { Container } from '@backstage/ui';
import { requestsRouteRef } from '../routes';
import { RequestList } from './RequestList';
import { RequestPage } from './RequestPage';

/** Requests is the list of requests, or the one that the address names. */
export function Requests() {
  const id = useRequestId();
  return (
    <main>
      <Container>{id ? <RequestPage key={id} id={id} /> : <RequestList />}</Container>
    </main>
  );
}

/** The list and the single request share a tab, so what follows the list's own path decides which of them is shown. */
function useRequestId(): string | undefined {
  const { pathname } = useAppLocation();
  const list = useRouteRef(requestsRouteRef)?.();
  if (!list || !pathname.startsWith(`${list}/`)) {
    return undefined;
  }
  const [id] = pathname.slice(list.length + 1).split('/');
  return id ? decodeURIComponent(id) : undefined;
}
