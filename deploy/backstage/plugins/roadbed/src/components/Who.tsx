import { parseEntityRef } from '@backstage/catalog-model';
import { useRouteRef } from '@backstage/frontend-plugin-api';
import { entityRouteParams, entityRouteRef, useEntityPresentation } from '@backstage/plugin-catalog-react';
import { Link } from '@backstage/ui';

/** Who is a person or a team: "you", or their name with a link to them in the catalog. */
export function Who({ entityRef, me }: { entityRef: string; me?: string }) {
  if (me && entityRef === me) {
    return <>you</>;
  }
  return isEntityRef(entityRef) ? <Known entityRef={entityRef} /> : <>{entityRef || 'nobody'}</>;
}

function Known({ entityRef }: { entityRef: string }) {
  const { primaryTitle } = useEntityPresentation(entityRef);
  const entityRoute = useRouteRef(entityRouteRef);
  const href = entityRoute?.(entityRouteParams(parseEntityRef(entityRef)));
  return href ? <Link href={href}>{primaryTitle}</Link> : <>{primaryTitle}</>;
}

function isEntityRef(text: string): boolean {
  return /^[^:/]+:[^:/]+\/[^:/]+$/.test(text);
}
