// Join tokens: making one with the line to start an agent, and those that there are.

import { call } from "/lib/api.js";
import { html, useSignal } from "/lib/html.js";
import { Time } from "/lib/time.js";
import { Copy } from "/components/copy.js";
import { confirm } from "/components/dialog.js";
import { ProblemNote, toast } from "/components/toast.js";
import { steps } from "/views/parts/clock.js";
import { Choice, Submit, Text, useFirstField, valuesOf } from "/views/parts/form.js";
import { useAct, useList } from "/views/parts/loading.js";
import { focusHeading } from "/views/parts/page.js";
import { Secret, useSecrets } from "/views/parts/secret.js";
import { JOIN_SPANS, roughly, tokenState } from "/views/parts/spans.js";
import { Listing, Table } from "/views/parts/table.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { Token } from "/lib/types.js" */
/** @import { List } from "/views/parts/loading.js" */
/** @typedef {Token & {secret: string}} Made */

/** @param {{open: Signal<boolean>}} props */
export function JoinTokens({ open }) {
  const made = /** @type {import("/views/parts/secret.js").Secrets<Made>} */ (useSecrets());
  const done = (/** @type {Made} */ token) => {
    made.hide(token);
    focusHeading();
  };
  return html`
    ${made.all.map((token) => html`<${JustMade} key=${token.id} token=${token} onDone=${() => done(token)} />`)}
    ${open.value && html`<section class="panel" aria-labelledby="join">
      <h2 id="join">Add machines</h2>
      <p>An agent joins with a token, once. From then on it comes back with its own key.</p>
      <${Make} keep=${made.add} />
      <${Others} />
    </section>`}`;
}

/** @param {{keep: (token: Made) => void}} props */
function Make({ keep }) {
  const act = useAct();
  const form = useFirstField();
  const submit = (/** @type {SubmitEvent} */ event) => {
    const { ttl, uses, machine } = valuesOf(event);
    act.run(async () => {
      const body = { type: "join", ttl_seconds: Number(ttl), uses: Number(uses), ...(machine ? { machine } : {}) };
      keep(await call("POST", "/tokens", body));
    });
  };
  return html`<form ref=${form} onSubmit=${submit} aria-label="Make a join token">
    <div class="fields">
      <${Choice} label="Good for" name="ttl" options=${JOIN_SPANS} value=${JOIN_SPANS[2][0]} />
      <${Text} label="Machines" name="uses" type="number" min="1" max="100000" step="1" value="1" required hint="How many may join with it." />
      <${Text} label="Only the machine" name="machine" maxlength="64" placeholder="any" hint="A name that is registered already: a host that was rebuilt." />
    </div>
    <${Submit} act=${act} label="Make a join token" />
  </form>`;
}

/** @param {{token: Made, onDone: () => void}} props */
function JustMade({ token, onDone }) {
  const host = useSignal(location.port ? location.host : `${location.hostname}:443`);
  const manager = `https://${host.value.trim() || location.host}`;
  const name = token.machine ? ` --name ${token.machine}` : "";
  const uses = token.max_uses ?? 1;
  const who = uses === 1 ? "One machine" : `${uses} machines`;
  const expired = Date.parse(token.expires_at) <= steps.value;
  return html`<${Secret} title="The new join token" label="Copy the token" secret=${token.secret} onDone=${onDone}>
    <p>${expired ? "It has expired: make another." : `${who} may join with it, for ${roughly(token.expires_at, steps.value).replace("in ", "")}.`}</p>
    <${Text} label="Manager, as the machine reaches it" value=${host.value} onInput=${(/** @type {any} */ event) => (host.value = event.currentTarget.value)} hint="Taken from this page's address." />
    <h3>With the token in a file</h3>
    <p class="hint">Save the token as <code>token</code> on the machine, readable by the agent only, then:</p>
    <${Copy} text=${`tomcat-grid-agent run --manager ${manager} --token-file token${name}`} label="Copy the line" />
    <h3>In one line</h3>
    <${Copy} text=${`TOMCAT_GRID_AGENT_TOKEN=${token.secret} tomcat-grid-agent run --manager ${manager}${name}`} label="Copy the line" />
    <p class="hint">The shell's history will hold the token.</p>
  <//>`;
}

/** The join tokens that there are. */
function Others() {
  const list = /** @type {List<Token>} */ (useList("/tokens?type=join&limit=200", /^(token\.|machine\.joined)/));
  const old = useSignal(false);
  const all = list.items.value;
  const good = all.filter((token) => tokenState(token, steps.value) === "good");
  const hidden = all.length - good.length;
  const shown = old.value ? all : good;
  return html`<h3 tabindex="-1" id="join-tokens">Join tokens</h3>
    <${Listing} list=${list} what="tokens" empty="There are no join tokens.">
      ${shown.length > 0 ? html`<${Table} caption="Join tokens" rows=${shown} keyOf=${(/** @type {Token} */ token) => token.id} columns=${columns(list)} rowProps=${(/** @type {Token} */ token) => ({ "data-token": token.id })} />` : html`<p class="nothing">${list.next.value ? `None of the ${all.length} tokens looked at can be used now; there are more.` : "No join token can be used now."}</p>`}
      ${hidden > 0 && html`<p class="also"><label class="check"><input type="checkbox" checked=${old.value} onChange=${() => (old.value = !old.value)} /> Show also ${hidden} that ${hidden === 1 ? "is" : "are"} used up, revoked or expired</label></p>`}
    <//>`;
}

/**
 * @param {List<Token>} list
 * @returns {import("/views/parts/table.js").Column<Token>[]}
 */
function columns(list) {
  return [
    { label: "Token", head: true, cell: (token) => html`<code class="id">${token.id}</code>` },
    { label: "For", cell: (token) => token.machine ?? "any machine" },
    { label: "Joined", class: "number", cell: (token) => `${token.uses ?? 0} of ${token.max_uses ?? "?"}` },
    { label: "Expires", cell: expiry },
    { label: "Made", cell: (token) => html`<span><${Time} at=${token.created_at} as="date" /> ${token.created_by && html`<span class="quiet">by ${token.created_by}</span>`}</span>` },
    { label: "Actions", quiet: true, class: "actions", cell: (token) => tokenState(token, steps.value) === "good" && html`<${Revoke} token=${token} list=${list} />` },
  ];
}

/** @param {Token} token */
function expiry(token) {
  const state = tokenState(token, steps.value);
  const word = state === "good" ? "" : `${state}, `;
  return html`<span class=${state === "good" ? undefined : "quiet"} title=${new Date(token.expires_at).toLocaleString()}>${state === "revoked" ? state : word + roughly(token.expires_at, steps.value)}</span>`;
}

/** @param {{token: Token, list: List<Token>}} props */
function Revoke({ token, list }) {
  const act = useAct();
  const revoke = async () => {
    const body = "No machine can join with it from now on. Those that did stay.";
    if (!(await confirm({ title: `Revoke the join token ${token.id}?`, body, action: "Revoke", danger: true }))) return;
    if (!(await act.run(() => call("DELETE", `/tokens/${encodeURIComponent(token.id)}`)))) return;
    toast("The join token is revoked.", "good");
    await list.reload();
    focusHeading("#join-tokens");
  };
  return html`<div class="row-actions">
    <button type="button" data-action="token-revoke" class="danger-text" aria-label=${`Revoke the join token ${token.id}`} onClick=${revoke}>Revoke…</button>
    <${ProblemNote} problem=${act.problem.value} />
  </div>`;
}
