// Calls every rpc of Customer Guard from Node and checks what each answers.
//
//     npm install
//     node every_rpc.mjs [HOST:PORT] [SIMULATOR_HOST:PORT]
//
// Made for the demo: it plays Microsoft through the simulator's control API, and leaves changed customers behind. At the
// end it compares what it called with what the proto files offer, so that no rpc can be forgotten.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import { connect } from "./guard.mjs";

const [address = "127.0.0.1:50051", simulator = "127.0.0.1:8095"] = process.argv.slice(2);
const CONTOSO = "partnerAccounts/contoso";
const PATIENCE_MS = 90_000;

const guard = connect(address);
const { CustomerService, SyncService, DecisionService, PartnerAccountService } = guard.services;

/// What `look` returns, once it is something.
async function eventually(what, look) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const found = await look();
    if (found) return found;
    await pause(200);
  }
  assert.fail(`in vain: ${what}`);
}

/// Partner Center, played through the simulator's control API.
async function microsoft(path, body = {}) {
  const url = `http://${simulator}/control/v1/partners/contoso/customers${path}`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

async function writing() {
  const request_id = randomUUID();
  const customer = {
    company_name: "Birkholm Tools GmbH",
    domain: "birkholm-tools.example",
    primary_contact: { first_name: "Bo", email: "bo@birkholm-tools.example", address: { country: "DE" } },
    external_reference: `crm-${request_id}`,
  };
  const request = { parent: CONTOSO, customer, request_id };
  const [ours, again] = await Promise.all([CustomerService.CreateCustomer(request), CustomerService.CreateCustomer(request)]);
  assert.deepEqual(again, ours, "a repeated request had another answer");
  const twin = await CustomerService.CreateCustomer({ parent: CONTOSO, customer: { ...customer, external_reference: "" } });
  assert.ok(twin.duplicate_candidates.some((candidate) => candidate.customer === ours.name));
  const { delete_time } = await CustomerService.DeleteCustomer({ name: twin.name, etag: twin.etag });
  assert.ok(delete_time);
  assert.equal((await CustomerService.UndeleteCustomer({ name: twin.name })).delete_time, null);
  await CustomerService.DeleteCustomer({ name: twin.name });
  const found = await CustomerService.LookupCustomer({ parent: CONTOSO, external_reference: ours.external_reference });
  assert.deepEqual(found, ours);
  console.log("a platform customer was created once, its twin noticed, deleted and brought back");
  return ours;
}

async function reading(ours) {
  const filter = "source = MICROSOFT AND sync_state = SYNCED";
  const page = await CustomerService.ListCustomers({ parent: CONTOSO, page_size: 2, filter, order_by: "company_name desc" });
  assert.equal(page.customers.length, 2);
  assert.ok(page.next_page_token);
  const [theirs] = page.customers;
  const names = [theirs.name, `${CONTOSO}/customers/${randomUUID()}`, ours.name];
  const { results } = await CustomerService.BatchGetCustomers({ parent: CONTOSO, names });
  assert.deepEqual(results.map((result) => result.customer !== null), [true, false, true]);
  const fresh = await CustomerService.GetCustomer({ name: theirs.name, max_staleness: { seconds: 0 } });
  assert.ok(fresh.verified_at.seconds >= theirs.verified_at.seconds && !fresh.stale);
  const basic = await CustomerService.GetCustomer({ name: theirs.name, view: "CUSTOMER_VIEW_BASIC", min_revision: fresh.revision });
  assert.equal(basic.primary_contact, null);
  const { fields } = await CustomerService.GetFieldOwnership({ name: theirs.name });
  const owners = Object.fromEntries(fields.map((field) => [field.field, field.owner]));
  assert.equal(owners["primary_contact.email"], "FIELD_OWNER_PARTNER_CENTER");
  assert.equal(owners.note, "FIELD_OWNER_PLATFORM");
  console.log(`${theirs.name} was read as fresh as it can be, in both views, with the owner of every field`);
  return fresh;
}

async function refusing(theirs) {
  const customer = { name: theirs.name, billing_contact: { email: "not.ours@example.com" } };
  const error = await guard.refused(CustomerService.UpdateCustomer({ customer, update_mask: { paths: ["billing_contact.email"] } }));
  const refused = error.details["customerguard.v1.EditRefused"];
  const decision = await DecisionService.GetDecision({ name: `${CONTOSO}/decisions/${refused.decisionId}` });
  assert.deepEqual(decision.violations.map((violation) => violation.rule), ["BILLING_MIRRORS_PRIMARY"]);
  const { decisions } = await DecisionService.ListDecisions({ parent: CONTOSO, customer: theirs.name });
  assert.ok(decisions.some((listed) => listed.name === decision.name));
  console.log(`a guarded edit was refused, and the refusal is ${decision.name}`);
}

async function synchronizing(theirs) {
  const status = await SyncService.GetSyncStatus({ name: `${CONTOSO}/syncStatus` });
  assert.ok(status.active_customers > 0);
  const start = SyncService.StartSync({ parent: CONTOSO, request_id: randomUUID() });
  const run = await start.catch((error) => {
    assert.equal(guard.detailsOf(error)["google.rpc.ErrorInfo"].reason, "SYNC_COOLDOWN");
    return status.last_full_sync;
  });
  assert.equal((await SyncService.GetSyncRun({ name: run.name })).name, run.name);
  const { sync_runs } = await SyncService.ListSyncRuns({ parent: CONTOSO });
  assert.ok(sync_runs.some((listed) => listed.name === run.name));
  // A direct-bill partner has none.
  assert.deepEqual((await SyncService.ListResellers({ parent: CONTOSO })).resellers, []);
  await SyncService.RefreshCustomer({ name: theirs.name });
  const paused = await SyncService.PauseCustomer({ name: theirs.name, reason: "under investigation" });
  assert.equal(paused.sync_state, "SYNC_STATE_PAUSED");
  const resumed = await SyncService.ResumeCustomer({ name: theirs.name });
  assert.equal(resumed.pause, null);
  const here = await SyncService.ExplainCustomer({ parent: CONTOSO, customer: theirs.name });
  assert.equal(here.verdict, "EXPLANATION_VERDICT_SYNCED");
  const absent = await SyncService.ExplainCustomer({ parent: CONTOSO, domain: "nobody-has-this.example" });
  assert.equal(absent.verdict, "EXPLANATION_VERDICT_NOT_FOUND");
  console.log(`contoso: ${status.active_customers} active customers; one that is missing: ${absent.explanation}`);
}

async function watching(ours) {
  const stream = guard.watch({ parent: CONTOSO, start: "WATCH_START_NOW" });
  const note = `seen by a watcher at ${Date.now()}`;
  let edited = false;
  for await (const event of stream) {
    if (!edited) {
      edited = true;
      await CustomerService.UpdateCustomer({ customer: { name: ours.name, note }, update_mask: { paths: ["note"] } });
    }
    if (event.change?.customer.name !== ours.name) continue;
    assert.deepEqual([event.change.customer.note, event.change.changed_fields.paths], [note, ["note"]]);
    break;
  }
  stream.cancel();
  console.log("a change was watched");
}

async function linking(ours) {
  const newcomer = async () => {
    const { id } = await microsoft("/accept", { companyName: "Birkholm Tools", domain: ours.domain });
    return eventually("the newcomer waits for a decision", async () => {
      const { pending_links } = await CustomerService.ListPendingLinks({ parent: CONTOSO });
      return pending_links.find((link) => link.microsoft_tenant_id === id);
    });
  };
  const wanted = { name: ours.name, microsoft_tenant_id: (await newcomer()).microsoft_tenant_id };
  const preview = await CustomerService.LinkCustomer({ ...wanted, validate_only: true });
  assert.ok(preview.locked_fields.includes("primary_contact.email") && preview.replaced_fields.length > 0);
  const linked = await CustomerService.LinkCustomer(wanted);
  assert.deepEqual([linked.customer.name, linked.customer.source], [ours.name, "SOURCE_MICROSOFT"]);
  const unlinked = await CustomerService.UnlinkCustomer({ name: ours.name });
  assert.deepEqual([unlinked.source, unlinked.primary_contact], ["SOURCE_PLATFORM", ours.primary_contact]);
  const dismissed = await CustomerService.DismissPendingLink({ name: (await newcomer()).name });
  const filter = `microsoft_tenant_id = "${dismissed.microsoft_tenant_id}"`;
  await eventually("the dismissed one gets a record of its own", async () => {
    const { customers } = await CustomerService.ListCustomers({ parent: CONTOSO, filter });
    return customers[0];
  });
  console.log("a newcomer was linked and unlinked, another one dismissed");
}

async function holding() {
  const { active_customers } = await SyncService.GetSyncStatus({ name: `${CONTOSO}/syncStatus` });
  const page_size = Math.max(3, Math.floor(active_customers / 50)) + 2;
  const filter = "source = MICROSOFT AND sync_state = SYNCED";
  const { customers } = await CustomerService.ListCustomers({ parent: CONTOSO, page_size, filter });
  for (const customer of customers) await microsoft(`/${customer.microsoft_tenant_id}/remove`);
  const whole = async () => {
    const { holds } = await SyncService.ListHolds({ parent: CONTOSO });
    return holds.find((hold) => hold.customer_count >= customers.length);
  };
  const held = await eventually("the removals are held", whole);
  const dismissed = await SyncService.DismissHold({ name: held.name });
  assert.equal(dismissed.state, "HOLD_STATE_DISMISSED");
  const approved = await SyncService.ApproveHold({ name: (await eventually("they are held again", whole)).name });
  assert.equal(approved.state, "HOLD_STATE_APPROVED");
  const ended = await CustomerService.GetCustomer({ name: customers[0].name });
  assert.equal(ended.relationship, "RELATIONSHIP_ENDED");
  console.log(`${approved.customer_count} removals were held, turned down, held again and approved`);
}

async function managing() {
  const partner_account = { display_name: "A tour", kind: "PARTNER_KIND_DIRECT_BILL", microsoft_tenant_id: randomUUID() };
  const partner_account_id = `tour-${randomUUID().slice(0, 8)}`;
  const made = await PartnerAccountService.CreatePartnerAccount({ partner_account_id, partner_account });
  const { name } = made;
  assert.deepEqual(await PartnerAccountService.GetPartnerAccount({ name }), made);
  const { partner_accounts } = await PartnerAccountService.ListPartnerAccounts({});
  assert.ok(partner_accounts.some((listed) => listed.name === name));
  const client_secret = randomUUID();
  const set = await PartnerAccountService.SetPartnerAccountCredentials({ name, client_id: randomUUID(), client_secret });
  assert.ok(!JSON.stringify(set).includes(client_secret));
  // Nothing waits: nobody has signed in with these, so there is nothing to accept.
  const nothingWaits = PartnerAccountService.AcceptCredentials({ name, trial_id: "0".repeat(32) });
  await assert.rejects(nothingWaits, (error) => {
    return guard.detailsOf(error)["google.rpc.ErrorInfo"].reason === "CREDENTIAL_TRIAL_NOT_FOUND";
  });
  const health = await PartnerAccountService.CheckPartnerAccountHealth({ name });
  const failed = health.checks.find((check) => !check.passed);
  assert.ok(!health.healthy && failed);
  const stopped = await PartnerAccountService.UpdatePartnerAccount({
    partner_account: { name, state: "PARTNER_ACCOUNT_STATE_DISABLED" },
    update_mask: { paths: ["state"] },
  });
  assert.equal(stopped.state, "PARTNER_ACCOUNT_STATE_DISABLED");
  // A demo receives no events, so there is no webhook secret to replace.
  const { details } = await guard.refused(PartnerAccountService.RotateWebhookSecret({ name }));
  assert.equal(details["google.rpc.ErrorInfo"].reason, "WEBHOOK_NOT_OURS");
  console.log(`${name} was made; its health: ${failed.reason}. ${failed.remedy}`);
}

const ours = await writing();
const theirs = await reading(ours);
await refusing(theirs);
await synchronizing(theirs);
await watching(ours);
await linking(await CustomerService.GetCustomer({ name: ours.name }));
await holding();
await managing();
assert.deepEqual(guard.forgotten(), [], "never called");
console.log(`all ${guard.called.size} rpcs were called`);
guard.close();
