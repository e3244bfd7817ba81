import type { CustomFieldValidator } from '@backstage/plugin-scaffolder-react';
import { explainError } from '../api/explainError';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { Verdict } from '../api/types';
import { readForm, readLifetime } from './parameters';

/** What the form says of a verdict field: whose form it is, and whether it is on the last page. */
export type VerdictOptions = { offering?: string; final?: boolean };

/**
 * refuseDenied keeps a form that policy denies from its review, with the reasons; pages before the last may be
 * left as they are. While the sidecar cannot be asked nothing is refused: it judges what is submitted in any case.
 */
export const refuseDenied: CustomFieldValidator<undefined, VerdictOptions> = async (_value, validation, context) => {
  const { apiHolder, formData, uiSchema } = context;
  const { final, offering: id } = uiSchema?.['ui:options'] ?? {};
  const api = apiHolder.get(roadbedApiRef);
  if (!final || !api || !id) {
    return;
  }
  try {
    const { parameters } = readForm(await api.getOffering(id), formData);
    const verdict = await api.evaluate(id, { parameters, expires_in: readLifetime(formData), partial: true });
    for (const reason of reasonsAgainst(verdict)) {
      validation.addError(reason);
    }
  } catch (error) {
    const { status, message } = explainError(error);
    if (status === 403) {
      validation.addError(message);
    }
  }
};

/** What needs an approval may be asked for: it waits for those who may give it. */
function reasonsAgainst({ outcome, findings }: Verdict): string[] {
  if (outcome !== 'deny') {
    return [];
  }
  return findings
    .filter(({ level }) => level === 'deny' || level === 'require_approval')
    .map(({ message, way_out: wayOut }) => [message, wayOut].filter(Boolean).join(' '));
}
