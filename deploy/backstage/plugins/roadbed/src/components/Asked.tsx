import { useApi } from '@backstage/frontend-plugin-api';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest, Parameter } from '../api/types';
import { formatField, formatValue } from '../format';
import { useLoad } from '../hooks/useLoad';
import { CopyButton } from './CopyButton';
import { Facts } from './Facts';
import { isHidden } from './Outcome';
import { Panel } from './Panel';
import { PanelSkeleton } from './PanelSkeleton';
import { Who } from './Who';

/** Asked is what a request asks for, in its offering's words and order. */
export function Asked({ request }: { request: InfrastructureRequest }) {
  const api = useApi(roadbedApiRef);
  const { loaded } = useLoad(request.offering, () => api.getOffering(request.offering));
  if (loaded.status === 'loading') {
    return <PanelSkeleton title="Asked for" lines={6} />;
  }
  // Without the offering, or for what its published version has no more, the names have to do.
  const known = loaded.status === 'data' ? loaded.data.parameters : [];
  return (
    <Panel title="Asked for">
      <Facts
        facts={[
          ...inOrder(Object.entries(request.parameters), known).map(([name, value]) => {
            const parameter = known.find(each => each.name === name);
            return { name: parameter?.title ?? formatField(name), value: show(value, parameter) };
          }),
          {
            name: 'Request id',
            value: <code>{request.id}</code>,
            after: <CopyButton what="request id" text={request.id} />,
          },
        ]}
      />
    </Panel>
  );
}

function show(value: unknown, parameter: Parameter | undefined) {
  if (isHidden(value)) {
    return 'set, and kept secret';
  }
  return parameter?.takes && value ? <Who entityRef={String(value)} /> : formatValue(value);
}

function inOrder(given: [string, unknown][], known: Parameter[]): [string, unknown][] {
  const rank = (name: string) => {
    const at = known.findIndex(parameter => parameter.name === name);
    return at < 0 ? known.length : at;
  };
  return given.toSorted(([a], [b]) => rank(a) - rank(b));
}
