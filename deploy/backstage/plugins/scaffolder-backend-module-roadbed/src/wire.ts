import { z } from 'zod';

// What this module reads of the answers that Roadbed's openapi.yaml describes. Fields that it does not use are left out.

const estimate = z.object({
  monthly_cost: z.number(),
  items: z.array(z.object({ name: z.string(), monthly_cost: z.number() })),
});

const finding = z.object({
  rule: z.string(),
  level: z.enum(['deny', 'require_approval', 'warn', 'info']),
  message: z.string(),
  path: z.string(),
  way_out: z.string(),
});

const alternative = z.object({ text: z.string(), monthly_cost: z.number() });

/** verdictSchema is the answer to an evaluation: what Roadbed would say to a request. */
export const verdictSchema = z.object({
  outcome: z.enum(['allow', 'warn', 'require_approval', 'deny']),
  estimate: estimate.nullable(),
  findings: z.array(finding),
  advice: z.object({ alternatives: z.array(alternative) }).nullish(),
});

/** submittedSchema is the 202 to a request: what was accepted. */
export const submittedSchema = z.object({
  request: z.object({
    id: z.string().min(1),
    state: z.string(),
    entity_ref: z.string().min(1),
    estimate: estimate.nullable(),
    findings: z.array(finding),
  }),
});

/** errorSchema is any refusal, in Backstage's shape with Roadbed's reasons added. */
export const errorSchema = z.object({
  error: z.object({
    name: z.string(),
    message: z.string(),
    findings: z.array(finding).nullish(),
    details: z.array(z.object({ path: z.string(), message: z.string() })).nullish(),
    alternatives: z.array(alternative).nullish(),
    request_id: z.string().nullish(),
  }),
});

export type Estimate = z.infer<typeof estimate>;
export type Alternative = z.infer<typeof alternative>;
export type Finding = z.infer<typeof finding>;
export type Submitted = z.infer<typeof submittedSchema>['request'];
export type Verdict = z.infer<typeof verdictSchema>;
export type ErrorBody = z.infer<typeof errorSchema>['error'];
