// Whether there is room for columns.

import { useEffect, useSignal } from "/lib/html.js";

/** From this width on; the same as in the styles. */
const WIDE = matchMedia("(min-width: 60rem)");

/** Whether the window is wide; what asks is drawn again when that changes. */
export function useWide() {
  const wide = useSignal(WIDE.matches);
  useEffect(() => {
    const change = () => {
      wide.value = WIDE.matches;
    };
    WIDE.addEventListener("change", change);
    return () => WIDE.removeEventListener("change", change);
  }, []);
  return wide.value;
}
