import { NotAllowedError } from '@backstage/errors';
import { createTemplateAction } from '@backstage/plugin-scaffolder-node';
import type { JsonObject } from '@backstage/types';
import type { CallOptions, RoadbedClient } from './client.ts';
import { alternativesLines, findingLine, priceText, requestPath, withoutStack } from './reasons.ts';
import type { Verdict } from './wire.ts';

/**
 * createRequestAction makes the action `roadbed:request`: it hands in a request for the person who started the task and
 * ends. It never waits for what was asked for, because a waiting step holds one of the scaffolder's few slots.
 */
export function createRequestAction({ client }: { client: RoadbedClient }) {
  return createTemplateAction({
    id: 'roadbed:request',
    description: 'Asks Roadbed for infrastructure, on behalf of whoever started the task; ends as soon as the request is queued',
    supportsDryRun: true,
    examples: [
      {
        description: 'Ask for a database with the values of the form',
        example: [
          'steps:',
          '  - id: request',
          '    name: Request the database',
          '    action: roadbed:request',
          '    input:',
          '      offering: postgres-database',
          '      parameters: ${{ parameters }}',
        ].join('\n'),
      },
    ],
    schema: {
      input: {
        offering: z => z.string().min(1).describe('Id of the offering: its folder, for example postgres-database'),
        parameters: z => z.record(z.any()).describe('The values for the offering’s parameters'),
        expiresIn: z => z.string().optional().describe('How long it lives, such as 24h or 7d; without it, as the offering says'),
        requestKey: z =>
          z
            .union([z.string(), z.number()])
            .optional()
            .describe('Tells the iterations of an `each` step apart: give it ${{ each.key }}'),
      },
      output: {
        requestId: z => z.string().describe('Id of the request'),
        requestUrl: z => z.string().describe('Where the portal shows the request; relative to the portal'),
        entityRef: z => z.string().describe('The catalog entity of what was asked for; it appears within seconds'),
        state: z => z.string().describe('State of the request: queued'),
        estimate: z => z.string().describe('The price, for people: $85.50 / month'),
      },
    },
    async handler(ctx) {
      const { offering, expiresIn, requestKey } = ctx.input;
      const parameters = ctx.input.parameters as JsonObject;
      const call: CallOptions = {
        credentials: await ctx.getInitiatorCredentials(),
        logger: ctx.logger,
        signal: ctx.signal,
      };

      if (ctx.isDryRun) {
        const verdict = await client.evaluate(offering, parameters, expiresIn, call);
        report(verdict, offering, ctx.logger);
        ctx.output('requestId', 'dry-run');
        ctx.output('requestUrl', '/infrastructure');
        ctx.output('entityRef', 'resource:default/dry-run');
        ctx.output('state', 'dry-run');
        ctx.output('estimate', priceText(verdict.estimate));
        return;
      }

      const request = await client.submit(
        {
          offering,
          parameters,
          expiresIn,
          task: ctx.task.id,
          idempotencyKey: idempotencyKey(ctx.task.id, ctx.step?.id, requestKey ?? ctx.each?.key),
        },
        call,
      );
      const estimate = priceText(request.estimate);
      ctx.logger.info(`Request ${request.id} is ${request.state}: ${estimate}`);
      for (const finding of request.findings) {
        ctx.logger.warn(findingLine(finding));
      }
      ctx.logger.info(`Follow it at ${requestPath(request.id)}`);
      ctx.output('requestId', request.id);
      ctx.output('requestUrl', requestPath(request.id));
      ctx.output('entityRef', request.entity_ref);
      ctx.output('state', request.state);
      ctx.output('estimate', estimate);
    },
  });
}

/**
 * idempotencyKey names one ask: a task that is run again asks the same thing and gets the same answer. A key of an
 * `each` step is encoded, because it may be any text and this goes into a header.
 */
export function idempotencyKey(task: string, step: string | undefined, each: unknown): string {
  const parts = [task, step ?? 'request'];
  if (each !== undefined) {
    parts.push(encodeURIComponent(String(each)));
  }
  return parts.join(':');
}

function report(verdict: Verdict, offering: string, logger: CallOptions['logger']) {
  logger.info(`Dry run, nothing is asked for. ${offering}: ${priceText(verdict.estimate)}`);
  const lines = verdict.findings.map(findingLine);
  if (verdict.outcome === 'deny') {
    const message = [`${offering} would be denied with these parameters.`, ...lines, ...alternativesLines(verdict.advice?.alternatives)].join('\n');
    throw withoutStack(new NotAllowedError(message));
  }
  for (const line of lines) {
    logger.info(line);
  }
  logger.info(verdict.outcome === 'require_approval' ? 'It would wait for approval.' : 'It is allowed.');
}
