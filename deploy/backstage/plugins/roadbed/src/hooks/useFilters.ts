import { useAppSearchParams } from '@backstage/frontend-plugin-api';

/** Filters are what a list is narrowed by, kept in the address so that it can be shared and gone back to. */
export type Filters = {
  get(name: string): string;
  /** set narrows by `value`; an empty one widens again. */
  set(name: string, value: string): void;
  clear(): void;
  narrowed: boolean;
};

/** useFilters reads and writes the filters called `names`; whatever else the address holds is left alone. */
export function useFilters(names: string[]): Filters {
  const [parameters, setParameters] = useAppSearchParams();
  const change = (edit: (next: URLSearchParams) => void) => {
    const next = new URLSearchParams(parameters);
    edit(next);
    setParameters(next, { replace: true });
  };
  return {
    get: name => parameters.get(name) ?? '',
    set: (name, value) => change(next => (value ? next.set(name, value) : next.delete(name))),
    clear: () => change(next => names.forEach(name => next.delete(name))),
    narrowed: names.some(name => parameters.get(name)),
  };
}
