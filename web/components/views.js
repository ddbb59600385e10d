// The views, and how one gets to them.

import { can } from "/lib/store.js";

/** @import { View } from "/lib/types.js" */

/** The views one can go to. @type {View[]} */
export const VIEWS = [
  { path: "", label: "Grid", key: "g", icon: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z" },
  { path: "operations", label: "Operations", key: "o", load: () => import("/views/operations.js"), icon: "M5 12a7 7 0 0 1 12-5l2 2M19 4v5h-5M19 12a7 7 0 0 1-12 5l-2-2M5 20v-5h5" },
  { path: "events", label: "Events", key: "e", load: () => import("/views/events.js"), icon: "M4 6h16M4 12h16M4 18h10" },
  { path: "machines", label: "Machines", key: "m", load: () => import("/views/machines.js"), icon: "M4 5h16v6H4zM4 13h16v6H4zM7 8h2M7 16h2" },
  { path: "collections", label: "Collections", key: "c", load: () => import("/views/collections.js"), icon: "M4 5h7v5H4zM13 14h7v5h-7zM7 10v6h6M11 7h5v7" },
  { path: "schedules", label: "Schedules", key: "s", load: () => import("/views/hooks.js").then(({ Schedules }) => ({ default: Schedules })), icon: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M12 8v4l3 2", lesser: true },
  { path: "hooks", label: "Hooks", key: "h", load: () => import("/views/hooks.js"), icon: "M9 5v8a4 4 0 1 0 8 0v-2M6 8l3-3 3 3", lesser: true },
  { path: "config", label: "Config", key: "f", load: () => import("/views/config.js"), icon: "M5 4h14v16H5zM8 8h8M8 12h8M8 16h5", lesser: true },
  { path: "users", label: "Users", key: "u", load: () => import("/views/users.js"), icon: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8M4 20c1-5 15-5 16 0", shown: () => can("manage"), lesser: true },
  { path: "tokens", label: "Tokens", key: "t", load: () => import("/views/tokens.js"), icon: "M8 9a4 4 0 1 1 0 8 4 4 0 0 1 0-8M11 11l8-7M16 7l3 3", lesser: true },
  { path: "audit", label: "Audit", key: "a", load: () => import("/views/audit.js"), icon: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM8 12l3 3 5-6", shown: () => can("manage"), lesser: true },
];

/** The views that have no way in the header. @type {Record<string, () => Promise<{default: any}>>} */
export const OTHERS = {
  account: () => import("/views/users.js").then(({ Account }) => ({ default: Account })),
  services: () => import("/views/service.js"),
};
