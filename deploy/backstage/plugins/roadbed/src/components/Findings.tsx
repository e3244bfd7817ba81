import { RiAlertLine, RiForbidLine, RiInformationLine, RiUserFollowLine, type RemixiconComponentType } from '@remixicon/react';
import { Link } from '@backstage/ui';
import type { Finding } from '../api/types';
import { formatOwner } from '../format';
import classes from './Findings.module.css';

const LEVELS: Record<string, { word: string; Icon: RemixiconComponentType }> = {
  deny: { word: 'Not allowed', Icon: RiForbidLine },
  require_approval: { word: 'Needs approval', Icon: RiUserFollowLine },
  warn: { word: 'Warning', Icon: RiAlertLine },
  info: { word: 'Note', Icon: RiInformationLine },
};

/** Findings lists what each rule said, of which parameter and resource, why there is such a rule, and the way out. */
export function Findings({ findings }: { findings: Finding[] }) {
  return (
    <ul role="list" aria-label="Findings" className={classes.findings}>
      {findings.map(finding => {
        const { word, Icon } = LEVELS[finding.level] ?? LEVELS.info;
        const { exemption } = finding;
        return (
          <li key={`${finding.rule} ${finding.path} ${finding.address} ${finding.message}`} className={classes.finding}>
            <Icon className={classes.icon} data-level={finding.level} aria-hidden="true" />
            <div>
              <p className={classes.message}>
                <span className={classes.word}>{exemption ? 'Exempted' : word}:</span> {finding.message}
              </p>
              {finding.way_out && <p className={classes.wayOut}>What you can do: {finding.way_out}</p>}
              {exemption && (
                <p className={classes.wayOut}>
                  {formatOwner(exemption.granted_by)} exempted this until {exemption.until}: {exemption.reason}
                </p>
              )}
              <p className={classes.rule}>
                Rule {finding.rule}
                {finding.path && <>, about {finding.path.replace(/^\//, '')}</>}
                {finding.address && (
                  <>
                    , of <code>{[finding.address, finding.attribute].filter(Boolean).join(' ')}</code>
                  </>
                )}
                {finding.source && (
                  <>
                    ,{' '}
                    <Link href={finding.source} target="_blank" rel="noopener noreferrer" aria-label={`Why there is the rule ${finding.rule}`}>
                      why there is such a rule
                    </Link>
                  </>
                )}
              </p>
            </div>
          </li>
        );
      })}
    </ul>
  );
}
