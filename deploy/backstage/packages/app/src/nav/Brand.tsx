import { Link, useSidebarOpenState } from '@backstage/core-components';
import classes from './Brand.module.css';

/** Brand is the portal's name at the top of the sidebar; it leads home. */
export function Brand() {
  const { isOpen } = useSidebarOpenState();
  return (
    <Link to="/" className={classes.brand} underline="none" aria-label="Roadbed, home">
      <svg className={classes.mark} viewBox="0 0 32 32" aria-hidden="true">
        <path d="M12 4h8l8 24H4z" fill="currentColor" opacity="0.35" />
        <path d="M16 6v4m0 4v5m0 4v4" stroke="currentColor" strokeWidth="2.5" strokeLinecap="round" />
      </svg>
      {isOpen && <span>Roadbed</span>}
    </Link>
  );
}
