import { useEffect, type RefObject } from 'react';

/** useFocusAfter gives the focus to `target` when a dialog is gone and what opened it is gone too, as a menu's item is. */
export function useFocusAfter(target: RefObject<HTMLElement>) {
  useEffect(() => {
    const { current } = target;
    // React Aria gives the focus back one frame after the dialog is gone, if there is still something to give it to.
    return () => afterTwoFrames(() => document.activeElement === document.body && current?.focus());
  }, [target]);
}

function afterTwoFrames(act: () => void) {
  requestAnimationFrame(() => requestAnimationFrame(act));
}
