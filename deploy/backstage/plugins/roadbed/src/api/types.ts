import type { components } from './schema.gen';

type Schemas = components['schemas'];

export type RequestState = Schemas['State'];
export type InstanceState = Schemas['InstanceState'];
export type Step = Schemas['Step'];
export type StepStatus = Step['status'];
export type Finding = Schemas['Finding'];
export type Estimate = Schemas['Estimate'];
export type Verdict = Schemas['Verdict'];
export type ChangePreview = Schemas['ChangePreview'];
export type ChangeEvaluation = Schemas['ChangeEvaluation'];
export type ParameterChange = Schemas['ParameterChange'];
export type Hold = Schemas['Hold'];
export type Pause = Schemas['Pause'];
export type PauseStart = Schemas['PauseStart'];
export type Budget = Schemas['Budget'];
export type BudgetLeft = Schemas['BudgetLeft'];
export type Activity = Schemas['ActivityView'];
export type Drift = Schemas['DriftAnswer'];
export type DriftDifference = Schemas['Difference'];
export type DriftGroup = Schemas['DriftGroup'];
export type DriftSuppression = Schemas['DriftSuppression'];
export type UnusedAnswer = Schemas['UnusedAnswer'];
export type UnusedFinding = Schemas['UnusedFinding'];
export type UnusedGroup = Schemas['UnusedGroup'];
export type UnusedList = Schemas['UnusedList'];
export type EphemeralEnvironment = Schemas['EphemeralEnvironment'];
export type PreviewOutcome = Schemas['PreviewOutcome'];
export type HandOver = Omit<Schemas['HandOver'], 'source'>;
export type Exemption = Schemas['Exemption'];
export type CalendarEntry = Schemas['CalendarEntry'];
export type Advice = Schemas['Advice'];
export type Range = Schemas['Range'];
export type Alternative = Schemas['Alternative'];
export type Evaluation = Schemas['Evaluation'];
export type Parameter = Schemas['Parameter'];
export type Parameters = Schemas['Parameters'];
export type Approval = NonNullable<Schemas['Request']['approval']>;
export type PlanSummary = Schemas['PlanSummary'];
export type Failure = Schemas['Failure'];
/** InfrastructureRequest is the API's Request, which is also the name of a browser's own type. */
export type InfrastructureRequest = Schemas['Request'];
export type Instance = Schemas['Instance'];
export type Dependant = Schemas['Dependant'];
export type InstanceWithRequests = Schemas['InstanceAnswer'];
export type Offering = Schemas['Offering'];
export type Environment = Schemas['Environment'];
export type Me = Schemas['Me'];
export type Credentials = Schemas['CredentialsAnswer']['credentials'];
export type LogLine = Schemas['LogLine'];
export type ErrorInfo = Schemas['ErrorInfo'];
export type Measures = Schemas['Measures'];
export type Measure = Schemas['Measure'];
export type MeasureUnit = Schemas['MeasureUnit'];

/** Page is one page of a list; `next` is the cursor of the following one, empty on the last. */
export type Page<T> = { items: T[]; next: string };
