import { useEffect, useState } from 'react';
import { ButtonIcon, Tooltip, TooltipTrigger } from '@backstage/ui';
import { RiCheckLine, RiErrorWarningLine, RiFileCopyLine } from '@remixicon/react';

type Outcome = 'copied' | 'failed';

/** CopyButton copies `text`, and says that it did. `what` is its name for people: "Copy endpoint". */
export function CopyButton({ what, text }: { what: string; text: string }) {
  const [outcome, setOutcome] = useState<Outcome>();
  useEffect(() => {
    const timer = setTimeout(() => setOutcome(undefined), 2500);
    return () => clearTimeout(timer);
  }, [outcome]);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setOutcome('copied');
    } catch {
      setOutcome('failed');
    }
  };
  const said = outcome && { copied: 'Copied', failed: 'Could not copy: select it by hand' }[outcome];
  return (
    <TooltipTrigger isOpen={outcome === undefined ? undefined : true}>
      <ButtonIcon
        size="small"
        variant="tertiary"
        aria-label={`Copy ${what}`}
        icon={outcome === 'copied' ? <RiCheckLine /> : outcome === 'failed' ? <RiErrorWarningLine /> : <RiFileCopyLine />}
        onPress={copy}
      />
      <Tooltip>{said ?? `Copy ${what}`}</Tooltip>
    </TooltipTrigger>
  );
}
