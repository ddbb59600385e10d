// API tokens: what scripts show instead of a password.

import { call } from "/lib/api.js";
import { html, useSignal } from "/lib/html.js";
import { can, me } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { confirm, Copy, ProblemNote, toast } from "/components/dialog.js";
import { API_SPANS, Choice, focusHeading, focusOpener, Listing, Page, roughly, Secret, steps, Submit, Table, Text, tokenState, useFirstField, useSecrets, valuesOf } from "/views/parts/page.js";
import { useAct, useList } from "/views/parts/loading.js";

/** @import { List, Token } from "/lib/types.js" */
/** @typedef {Token & {secret: string}} Made a token, just made */

/** The roles, each with what the lesser ones may. */
const ROLES = ["viewer", "operator", "admin"];

export default function Tokens() {
  const list = /** @type {List<Token>} */ (useList("/tokens?type=api&limit=200", /^(token\.|user\.removed)/));
  const made = /** @type {import("/lib/types.js").Secrets<Made>} */ (useSecrets());
  const making = useSignal(false);
  const old = useSignal(false);
  if (me.value?.targets) return html`<${Page} title="API tokens"><p class="nothing">Tokens limited to targets cannot list tokens.</p><//>`;
  const good = list.items.value.filter((token) => tokenState(token, steps.value) === "good");
  const shown = old.value ? list.items.value : good;
  const hidden = list.items.value.length - good.length;
  const button = html`<button type="button" class="primary" data-open aria-expanded=${making.value} onClick=${() => (making.value = !making.value)}>Make a token…</button>`;
  const about = can("manage") ? "What scripts show instead of a password. You see those of all users." : "What scripts show instead of a password. You see your own.";
  const keep = (/** @type {Made} */ token) => {
    made.add(token);
    making.value = false;
    list.reload();
  };
  const close = () => {
    making.value = false;
    focusOpener();
  };
  const done = (/** @type {Made} */ token) => {
    made.hide(token);
    focusHeading();
  };
  return html`<${Page} title="API tokens" about=${about} actions=${button}>
    ${making.value && html`<${Make} keep=${keep} close=${close} />`}
    ${made.all.map((token) => html`<${JustMade} key=${token.id} token=${token} onDone=${() => done(token)} />`)}
    <${Listing} list=${list} what="tokens" empty="No API tokens. A script needs one to call the API.">
      ${shown.length > 0 ? html`<${Table} caption="API tokens" rows=${shown} keyOf=${(/** @type {Token} */ token) => token.id} columns=${columns(list)} rowProps=${rowProps} />` : html`<p class="nothing">${list.next.value ? `None of the ${list.items.value.length} tokens looked at can be used now; there are more.` : "No token can be used now."}</p>`}
      ${hidden > 0 && html`<p class="also"><label class="check"><input type="checkbox" checked=${old.value} onChange=${() => (old.value = !old.value)} /> Show also ${hidden} that ${hidden === 1 ? "is" : "are"} revoked or expired</label></p>`}
    <//>
  <//>`;
}

/** @param {Token} token */
const rowProps = (token) => ({ "data-token": token.id, class: tokenState(token, steps.value) === "good" ? undefined : "spent" });

/**
 * @param {List<Token>} list
 * @returns {import("/lib/types.js").Column<Token>[]}
 */
function columns(list) {
  return [
    { label: "Token", head: true, cell: (token) => html`${token.description || html`<span class="quiet">no description</span>`} <code class="id">${token.id}</code>` },
    { label: "Owner", cell: (token) => token.owner },
    { label: "Role", cell: (token) => token.role },
    { label: "Only for", cell: (token) => (token.targets ? html`<span class="targets">${token.targets.map((target) => html`<code key=${target}>${target}</code> `)}</span>` : html`<span class="quiet">everything</span>`) },
    { label: "Expires", cell: expiry },
    { label: "Last used", cell: (token) => html`<span><${Time} at=${token.last_used_at} suffix=" ago" />${token.last_used_from && html` <span class="quiet">from ${token.last_used_from}</span>`}</span>` },
    { label: "Made", cell: (token) => html`<span><${Time} at=${token.created_at} as="date" /> ${token.created_by && html`<span class="quiet">by ${token.created_by}</span>`}</span>` },
    { label: "Actions", quiet: true, class: "actions", cell: (token) => tokenState(token, steps.value) === "good" && html`<${Revoke} token=${token} list=${list} />` },
  ];
}

/** @param {Token} token */
function expiry(token) {
  const state = tokenState(token, steps.value);
  if (state === "revoked") return html`<span class="bad">revoked</span> <${Time} at=${token.revoked_at} as="date" />`;
  const title = new Date(token.expires_at).toLocaleString();
  return html`<time datetime=${token.expires_at} title=${title} class=${state === "expired" ? "bad" : undefined}>${state === "expired" ? "expired " : ""}${roughly(token.expires_at, steps.value)}</time>`;
}

/** @param {{token: Token, list: List<Token>}} props */
function Revoke({ token, list }) {
  const act = useAct();
  const revoke = async () => {
    const title = `Revoke the token ${token.description || token.id}?`;
    const body = "What shows it is refused from now on, and its streams end. This cannot be undone.";
    if (!(await confirm({ title, body, action: "Revoke", danger: true }))) return;
    if (!(await act.run(() => call("DELETE", `/tokens/${encodeURIComponent(token.id)}`)))) return;
    toast("The token is revoked.", "good");
    await list.reload();
    focusHeading();
  };
  return html`<div class="row-actions">
    <button type="button" data-action="token-revoke" class="danger-text" aria-label=${`Revoke the token ${token.description || token.id}`} onClick=${revoke}>Revoke…</button>
    <${ProblemNote} problem=${act.problem.value} />
  </div>`;
}

/** @param {{keep: (token: Made) => void, close: () => void}} props */
function Make({ keep, close }) {
  const act = useAct();
  const form = useFirstField();
  const own = me.value?.role ?? "viewer";
  const roles = /** @type {[string, string][]} */ (ROLES.slice(0, ROLES.indexOf(own) + 1).map((role) => [role, role]));
  const submit = async (/** @type {SubmitEvent} */ event) => {
    const { description, role, ttl, targets, owner } = valuesOf(event);
    const only = targets.split(/[\s,]+/).filter(Boolean);
    await act.run(async () => {
      const body = { type: "api", ttl_seconds: Number(ttl), role, description, ...(only.length ? { targets: only } : {}), ...(owner ? { owner } : {}) };
      keep(await call("POST", "/tokens", body));
    });
  };
  return html`<form class="panel" ref=${form} onSubmit=${submit} aria-label="Make an API token">
    <div class="fields">
      <${Text} label="What it is for" name="description" maxlength="200" hint="For example: deploy pipeline of the shop" />
      <${Choice} label="Role" name="role" options=${roles} value="viewer" hint="It can never do more than its owner." />
      <${Choice} label="Good for" name="ttl" options=${API_SPANS} value=${API_SPANS[3][0]} />
      <${Text} label="Only for" name="targets" placeholder="everything" class="wide" hint=${html`Services, <code>@MACHINE</code> or <code>#TAG</code>, divided by blanks. It sees and acts on those only.`} />
      ${can("manage") && html`<${Text} label="Owner" name="owner" maxlength="64" placeholder=${me.value?.name} hint="Leave it empty for yourself." />`}
    </div>
    <${Submit} act=${act} label="Make the token"><button type="button" onClick=${close}>Cancel</button><//>
  </form>`;
}

/** @param {{token: Made, onDone: () => void}} props */
function JustMade({ token, onDone }) {
  const origin = location.origin;
  return html`<${Secret} title=${`The new API token${token.description ? ` “${token.description}”` : ""}`} label="Copy the token" secret=${token.secret} onDone=${onDone}>
    <h3>With curl</h3>
    <${Copy} text=${`curl --cacert ca.pem -H "Authorization: Bearer $TOMCAT_GRID_TOKEN" ${origin}/api/v1/status`} />
    <h3>With the command line</h3>
    <${Copy} text=${`TOMCAT_GRID_ADDR=${origin} TOMCAT_GRID_CACERT=ca.pem tomcat-grid status`} />
    <p class="hint">Both read the token from the environment variable <code>TOMCAT_GRID_TOKEN</code>. <code>ca.pem</code> is the authority that signed the manager's certificate. The calls are on the <a href="/api.html">API page</a>.</p>
  <//>`;
}
