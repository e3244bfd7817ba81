import { RiAlertLine, RiForbidLine, RiInformationLine, RiUserFollowLine, type RemixiconComponentType } from '@remixicon/react';
import type { Finding } from '../api/types';
import classes from './Findings.module.css';

const LEVELS: Record<string, { word: string; Icon: RemixiconComponentType }> = {
  deny: { word: 'Not allowed', Icon: RiForbidLine },
  require_approval: { word: 'Needs approval', Icon: RiUserFollowLine },
  warn: { word: 'Warning', Icon: RiAlertLine },
  info: { word: 'Note', Icon: RiInformationLine },
};

/** Findings lists what each rule said, with its way out. */
export function Findings({ findings }: { findings: Finding[] }) {
  return (
    <ul role="list" aria-label="Findings" className={classes.findings}>
      {findings.map(finding => {
        const { word, Icon } = LEVELS[finding.level] ?? LEVELS.info;
        return (
          <li key={`${finding.rule} ${finding.path} ${finding.message}`} className={classes.finding}>
            <Icon className={classes.icon} data-level={finding.level} aria-hidden="true" />
            <div>
              <p className={classes.message}>
                <span className={classes.word}>{word}:</span> {finding.message}
              </p>
              {finding.way_out && <p className={classes.wayOut}>What you can do: {finding.way_out}</p>}
              <p className={classes.rule}>
                Rule {finding.rule}
                {finding.path && <>, about {finding.path.replace(/^\//, '')}</>}
              </p>
            </div>
          </li>
        );
      })}
    </ul>
  );
}
