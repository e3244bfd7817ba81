import { parseEntityRef } from '@backstage/catalog-model';
import { useRouteRef } from '@backstage/frontend-plugin-api';
import { entityRouteParams, entityRouteRef, useEntityPresentation } from '@backstage/plugin-catalog-react';
import { Link } from '@backstage/ui';

/** Who is a person, a team or a pipeline: "you", or their name with a link to them in the catalog, `bold` where it names a row. */
export function Who({ entityRef, me, bold }: { entityRef: string; me?: string; bold?: boolean }) {
  if (me && entityRef === me) {
    return <>you</>;
  }
  if (entityRef.startsWith('ci:')) {
    return <>a pipeline of {entityRef.slice('ci:'.length)}</>;
  }
  return isEntityRef(entityRef) ? <Known entityRef={entityRef} bold={bold} /> : <>{entityRef || 'nobody'}</>;
}

function Known({ entityRef, bold = false }: { entityRef: string; bold?: boolean }) {
  const { primaryTitle } = useEntityPresentation(entityRef);
  const entityRoute = useRouteRef(entityRouteRef);
  const href = entityRoute?.(entityRouteParams(parseEntityRef(entityRef)));
  if (!href) {
    return <>{primaryTitle}</>;
  }
  return (
    <Link href={href} weight={bold ? 'bold' : 'regular'}>
      {primaryTitle}
    </Link>
  );
}

function isEntityRef(text: string): boolean {
  return /^[^:/]+:[^:/]+\/[^:/]+$/.test(text);
}
