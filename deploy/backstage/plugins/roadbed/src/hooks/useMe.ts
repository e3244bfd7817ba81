import { useApi } from '@backstage/frontend-plugin-api';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Me } from '../api/types';
import { useLoad } from './useLoad';

/** useMe is who is signed in, as the sidecar sees them; undefined until it is known. */
export function useMe(): Me | undefined {
  const api = useApi(roadbedApiRef);
  const { loaded } = useLoad('me', () => api.getMe());
  return loaded.status === 'data' ? loaded.data : undefined;
}
