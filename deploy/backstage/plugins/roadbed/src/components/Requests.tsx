import { useRouteRefParams } from '@backstage/frontend-plugin-api';
import { Container } from '@backstage/ui';
import { requestRouteRef } from '../routes';
import { RequestList } from './RequestList';
import { RequestPage } from './RequestPage';

/** Requests is the list of requests, or the one that the address names. */
export function Requests() {
  const { id } = useRouteRefParams(requestRouteRef) as { id?: string };
  return <Container>{id ? <RequestPage key={id} id={id} /> : <RequestList />}</Container>;
}
