import { VisuallyHidden } from '@backstage/ui';

/** Announcement tells a screen reader, when the text changes. It is there from the start, or the first one is lost. */
export function Announcement({ children }: { children: string }) {
  return (
    <VisuallyHidden>
      <span role="status" aria-live="polite">
        {children}
      </span>
    </VisuallyHidden>
  );
}
