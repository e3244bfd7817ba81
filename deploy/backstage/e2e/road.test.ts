import { after, before } from 'node:test';
import { approvalCases } from './approval.ts';
import { campaignCases } from './campaign.ts';
import { driftCases } from './drift.ts';
import { pauseCases } from './pause.ts';
import { startStage, type Stage } from './stage.ts';
import { databaseCases } from './database.ts';
import { refusalCases } from './refusal.ts';
import { siteCases } from './site.ts';
import { signInCases } from './signIn.ts';
import { viewCases } from './views.ts';

// `node --test` runs each file in a process of its own. This is the only one, so that one portal serves all cases; they
// play one after the other, on what those before them have made.
let stage: Stage | undefined;
before(async () => {
  stage = await startStage();
});
after(() => stage?.stop());

const onStage = () => stage!;
signInCases(onStage);
databaseCases(onStage);
refusalCases(onStage);
approvalCases(onStage);
pauseCases(onStage);
driftCases(onStage);
siteCases(onStage);
viewCases(onStage);
campaignCases(onStage); // last: it publishes another version
