import {
  RiCheckboxCircleFill,
  RiCloseCircleFill,
  RiForbidLine,
  RiLoader4Line,
  RiTimeLine,
  type RemixiconComponentType,
} from '@remixicon/react';
import { campaignWord, instanceWord, requestWord, type Tone } from '../words';
import classes from './StateBadge.module.css';

const ICONS: Record<Tone, RemixiconComponentType> = {
  neutral: RiForbidLine,
  active: RiLoader4Line,
  waiting: RiTimeLine,
  good: RiCheckboxCircleFill,
  bad: RiCloseCircleFill,
};

/** RequestBadge says how a request stands, by icon and word. */
export function RequestBadge({ state }: { state: string }) {
  return <StateBadge {...requestWord(state)} />;
}

/** InstanceBadge says how an instance fares, by icon and word. */
export function InstanceBadge({ state }: { state: string }) {
  return <StateBadge {...instanceWord(state)} />;
}

/** CampaignBadge says how a campaign stands, by icon and word. */
export function CampaignBadge({ state }: { state: string }) {
  return <StateBadge {...campaignWord(state)} />;
}

function StateBadge({ word, tone }: { word: string; tone: Tone }) {
  const Icon = ICONS[tone];
  return (
    <span className={classes.badge} data-tone={tone}>
      <Icon className={classes.icon} aria-hidden="true" />
      {word}
    </span>
  );
}
