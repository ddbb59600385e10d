// What stands above a list of events: the way to what is newer than what is read, and why it could not be read.

import { html, useEffect } from "/lib/html.js";
import { ProblemNote } from "/components/toast.js";

/** @import { Feed } from "/views/events/feed.js" */

/**
 * A pill that tells how many events wait. Who comes back to the top of the list sees them without it.
 * @param {{feed: Feed, top: () => void}} props `top` scrolls to where new ones appear
 */
export function Newer({ feed, top }) {
  useEffect(() => {
    const onScroll = () => feed.waiting.peek().length > 0 && !feed.missing.peek() && !feed.held() && feed.show();
    addEventListener("scroll", onScroll, { passive: true });
    return () => removeEventListener("scroll", onScroll);
  }, []);
  const newer = () => {
    if (feed.missing.peek()) feed.latest();
    else feed.show();
    top();
  };
  const count = feed.waiting.value.length;
  if (!count && !feed.missing.value) return null;
  return html`<button type="button" class="pill" onClick=${newer}>${feed.missing.value ? "Show the newest" : `${count} new`}</button>`;
}

/**
 * Why events could not be read, and another try.
 * @param {{feed: Feed}} props
 */
export const FeedProblem = ({ feed }) =>
  feed.problem.value && html`<${ProblemNote} problem=${feed.problem.value} /><p><button type="button" onClick=${feed.again}>Try again</button></p>`;
