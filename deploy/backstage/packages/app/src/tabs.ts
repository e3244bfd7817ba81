const CHOSEN = '[role="tablist"][aria-label="Toolbar tabs"] > [role="tab"][aria-selected="true"]';

/** keepChosenTabInView scrolls a page's tabs to the one that is chosen, whether by a click or by the address. */
export function keepChosenTabInView() {
  // A tab is told that it is chosen only after it is there, so that it is enough to listen to that.
  new MutationObserver(changes => {
    for (const { target } of changes) {
      if (target instanceof Element && target.matches(CHOSEN)) {
        target.scrollIntoView({ block: 'nearest', inline: 'nearest' });
      }
    }
  }).observe(document.body, { subtree: true, attributeFilter: ['aria-selected'] });
}
