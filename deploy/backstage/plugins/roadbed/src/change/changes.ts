import type { Instance, Offering, Parameter, Parameters } from '../api/types';
import { isEmpty, isValid } from '../form/parameters';

/** Edits are the fields that somebody has touched, by name, as they are. */
export type Edits = Record<string, unknown>;

/** What a form of changes holds, sorted. */
export type Changes = {
  /** changes are what would be asked for; null takes a parameter back to its default. */
  changes: Parameters;
  /** secrets are changes too, which nobody is shown: they are only sent when the change is asked for. */
  secrets: Parameters;
  /** invalid are fields that cannot be what they should be. */
  invalid: Parameter[];
};

/** whyFixed is why a parameter stays as it was made, or undefined when it may change. */
export function whyFixed({ roles }: Offering, parameter: Parameter): string | undefined {
  if (parameter.name === roles.owner) {
    return 'It changes by handing over.';
  }
  const fixed = parameter.immutable || parameter.name === roles.name || parameter.name === roles.environment;
  return fixed ? 'It stays as it was made.' : undefined;
}

/** valueNow is what a field shows before it is touched. */
export function valueNow(instance: Instance, { name, sensitive, default: usual }: Parameter): unknown {
  return sensitive ? undefined : instance.parameters[name] ?? usual;
}

/** readChanges compares what was touched with how the instance is. */
export function readChanges(offering: Offering, instance: Instance, edits: Edits): Changes {
  const read: Changes = { changes: {}, secrets: {}, invalid: [] };
  for (const parameter of offering.parameters) {
    const { name, required, sensitive } = parameter;
    const value = edits[name];
    const before = valueNow(instance, parameter);
    if (!(name in edits) || whyFixed(offering, parameter) || isSame(value, before)) {
      continue;
    }
    if (isEmpty(value)) {
      if (required) {
        read.invalid.push(parameter);
      } else if (!sensitive) {
        read.changes[name] = null;
      }
    } else if (!isValid(parameter, value)) {
      read.invalid.push(parameter);
    } else {
      (sensitive ? read.secrets : read.changes)[name] = value;
    }
  }
  return read;
}

function isSame(one: unknown, other: unknown): boolean {
  return (isEmpty(one) && isEmpty(other)) || JSON.stringify(one) === JSON.stringify(other);
}

/** readQuery is what an address fills in: "?storage_gb=200". What names no parameter, or is no value of it, is left out. */
export function readQuery(offering: Offering, query: URLSearchParams): Edits {
  const named = offering.parameters.filter(parameter => query.has(parameter.name) && !parameter.sensitive);
  const edits = named.map(parameter => [parameter.name, readText(parameter, query.get(parameter.name)!)] as const);
  return Object.fromEntries(edits.filter(([, value]) => value !== undefined));
}

function readText({ type }: Parameter, text: string): unknown {
  switch (type) {
    case 'integer':
      return readInteger(text);
    case 'boolean':
      return text === 'true' || text === 'false' ? text === 'true' : undefined;
    case 'map':
      return undefined;
    default:
      return text;
  }
}

/** readInteger reads a whole number; what is none stays as it was typed. */
export function readInteger(text: string): number | string {
  return /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text;
}

/** writeMap writes settings one a line, as readMap reads them: "work_mem = 64MB". */
export function writeMap(value: unknown): string {
  return Object.entries(value ?? {})
    .map(([name, setting]) => `${name} = ${setting}`)
    .join('\n');
}

/** readMap reads settings; a line without a value is a name with an empty one, which no parameter takes. */
export function readMap(text: string): Record<string, string> {
  const lines = text.split('\n').filter(line => line.trim());
  return Object.fromEntries(
    lines.map(line => {
      const [name, ...rest] = line.split(/[=:]/);
      return [name.trim(), rest.join('=').trim()];
    }),
  );
}
