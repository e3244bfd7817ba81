import type { Offering, Parameter, Parameters } from '../api/types';

/** What a form holds, sorted: what can be judged, and numbers that cannot and whose price is therefore missing. */
export type Given = { parameters: Parameters; uncounted: Parameter[] };

/**
 * readForm takes an offering's parameters out of a form that may be half filled in. A value that the form itself will
 * object to is left out, as is what is not to be shown to anyone.
 */
export function readForm(offering: Offering, form: Parameters): Given {
  const given: Given = { parameters: {}, uncounted: [] };
  for (const parameter of offering.parameters) {
    const value = form[parameter.name];
    if (parameter.sensitive || isEmpty(value)) {
      continue;
    }
    if (isValid(parameter, value)) {
      given.parameters[parameter.name] = value;
    } else if (parameter.type === 'integer') {
      given.uncounted.push(parameter);
    }
  }
  return given;
}

/** EXPIRY_FIELD is the name that how long something lives has in a form. */
const EXPIRY_FIELD = 'roadbedExpiresIn';

/** readLifetime is how long what the form asks for lives, such as "24h"; undefined when that was not chosen. */
export function readLifetime(form: Parameters): string | undefined {
  const chosen = form[EXPIRY_FIELD];
  return typeof chosen === 'string' && chosen !== '' ? chosen : undefined;
}

/** isEmpty says that a field of a form holds nothing. */
export function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '' || (isMap(value) && Object.keys(value).length === 0);
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** isValid says that a value is one that the parameter may have. */
export function isValid({ type, pattern, min, max, options }: Parameter, value: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value) && (value as number) >= (min ?? -Infinity) && (value as number) <= (max ?? Infinity);
    case 'boolean':
      return typeof value === 'boolean';
    case 'enum':
      return (options ?? []).some(option => option.value === value);
    case 'map':
      return isMap(value) && Object.entries(value).every(([key, part]) => typeof part === 'string' && matches(pattern, key));
    default: {
      // Lengths are counted in characters, as the sidecar counts them.
      const length = typeof value === 'string' ? [...value].length : -1;
      return length >= (min ?? 0) && length <= (max ?? Infinity) && matches(pattern, String(value));
    }
  }
}

function matches(pattern: string | undefined, text: string): boolean {
  try {
    return !pattern || new RegExp(pattern, 'u').test(text);
  } catch {
    // The sidecar's dialect knows more than a browser's; then it has the say.
    return true;
  }
}

/** changedParameters are the parameters that may have a price and differ from their default. */
export function changedParameters(offering: Offering, parameters: Parameters): Parameter[] {
  return offering.parameters.filter(
    ({ name, type, default: usual }) =>
      ['enum', 'integer', 'boolean'].includes(type) &&
      name !== offering.roles.environment &&
      usual !== undefined &&
      name in parameters &&
      parameters[name] !== usual,
  );
}

/**
 * fillPreset is what choosing a preset sets: its own values, and the default of whatever another preset names, so that one
 * follows another without traces.
 */
export function fillPreset({ parameters, presets }: Offering, preset: Offering['presets'][number]): Parameters {
  const named = new Set(presets.flatMap(each => Object.keys(each.parameters)));
  const usual = parameters.filter(({ name, default: value }) => named.has(name) && value !== undefined);
  return { ...Object.fromEntries(usual.map(({ name, default: value }) => [name, value])), ...preset.parameters };
}

/** nameOfLink is the name of the instance that a link leads to: "orders" of "resource:dev/orders.postgres-database". */
export function nameOfLink(link: string): string {
  return /^resource:[^/]+\/([^.]+)\./.exec(link)?.[1] ?? link;
}

/** sayValue writes a value of a parameter, choices by their label up to its details: "Small", "off", "1,000", "orders". */
export function sayValue({ options, takes }: Pick<Parameter, 'options' | 'takes'>, value: unknown): string {
  if (takes && typeof value === 'string') {
    return nameOfLink(value) || 'nothing';
  }
  if (typeof value === 'boolean') {
    return value ? 'on' : 'off';
  }
  if (typeof value === 'number') {
    return value.toLocaleString('en-US');
  }
  const label = options?.find(option => option.value === value)?.label ?? String(value);
  return label.split(/ [(-]/)[0];
}
