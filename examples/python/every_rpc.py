"""Calls every rpc of Customer Guard from Python, with nothing generated, and checks what each answers.

    pip install -r requirements.txt
    python every_rpc.py [HOST:PORT] [SIMULATOR_HOST:PORT]

Made for the demo: it plays Microsoft through the simulator's control API, and leaves changed customers behind. At the end
it compares what it called with what the server offers, so that no rpc can be forgotten.
"""

import json
import sys
import time
import urllib.request
import uuid

import grpc
from google.protobuf.message_factory import GetMessageClass

from tour import PACKAGE, Guard, details_of

CUSTOMERS, SYNC, DECISIONS, ACCOUNTS = "CustomerService", "SyncService", "DecisionService", "PartnerAccountService"
CONTOSO = "partnerAccounts/contoso"
PATIENCE_SECONDS = 90


class Recording(Guard):
    """A guard that remembers what was called."""

    def __init__(self, address):
        super().__init__(address)
        self.called = set()

    def call(self, service, method, **fields):
        self.called.add(f"{service}/{method}")
        return super().call(service, method, **fields)

    def watch(self, **fields):
        self.called.add(f"{CUSTOMERS}/WatchCustomers")
        descriptor = self.pool.FindServiceByName(f"{PACKAGE}.{CUSTOMERS}").FindMethodByName("WatchCustomers")
        invoke = self.channel.unary_stream(
            f"/{PACKAGE}.{CUSTOMERS}/WatchCustomers",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=GetMessageClass(descriptor.output_type).FromString,
        )
        return invoke(GetMessageClass(descriptor.input_type)(**fields), timeout=PATIENCE_SECONDS)

    def reason(self, service, method, **fields):
        """The reason of the error that a call must come to."""
        try:
            self.call(service, method, **fields)
        except grpc.RpcError as error:
            return details_of(error, self)["google.rpc.ErrorInfo"].reason
        raise AssertionError(f"{method} was not refused")

    def offered(self):
        """Every rpc the server offers."""
        services = (self.pool.FindServiceByName(f"{PACKAGE}.{name}") for name in (CUSTOMERS, SYNC, DECISIONS, ACCOUNTS))
        return {f"{service.name}/{method.name}" for service in services for method in service.methods}


class Microsoft:
    """Partner Center, played through the simulator's control API."""

    def __init__(self, address):
        self.root = f"http://{address}/control/v1/partners/contoso/customers"

    def post(self, path, **body):
        request = urllib.request.Request(f"{self.root}{path}", data=json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


def eventually(what, look):
    """What `look` returns, once it is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"in vain: {what}")


def writing(guard):
    """A platform customer from its creation to its return from deletion."""
    request_id = str(uuid.uuid4())
    draft = {
        "company_name": "Aldermann Bakery Ltd",
        "domain": "aldermann-bakery.example",
        "primary_contact": {"first_name": "Ada", "email": "ada@aldermann-bakery.example", "address": {"country": "LV"}},
        "external_reference": f"crm-{request_id}",
    }
    ours = guard.call(CUSTOMERS, "CreateCustomer", parent=CONTOSO, customer=draft, request_id=request_id)
    again = guard.call(CUSTOMERS, "CreateCustomer", parent=CONTOSO, customer=draft, request_id=request_id)
    assert again == ours, "a repeated request had another answer"
    twin = guard.call(CUSTOMERS, "CreateCustomer", parent=CONTOSO, customer={**draft, "external_reference": ""})
    assert ours.name in [candidate.customer for candidate in twin.duplicate_candidates], "a duplicate was not noticed"
    deleted = guard.call(CUSTOMERS, "DeleteCustomer", name=twin.name, etag=twin.etag)
    assert deleted.HasField("delete_time")
    back = guard.call(CUSTOMERS, "UndeleteCustomer", name=twin.name)
    assert not back.HasField("delete_time")
    guard.call(CUSTOMERS, "DeleteCustomer", name=twin.name)
    found = guard.call(CUSTOMERS, "LookupCustomer", parent=CONTOSO, external_reference=ours.external_reference)
    assert found == ours
    print("a platform customer was created once, its twin noticed, deleted and brought back")
    return ours


def reading(guard, ours):
    """Reads of every kind."""
    filtered = 'source = MICROSOFT AND sync_state = SYNCED'
    page = guard.call(CUSTOMERS, "ListCustomers", parent=CONTOSO, page_size=2, filter=filtered, order_by="company_name")
    assert len(page.customers) == 2 and page.next_page_token
    theirs = page.customers[0]
    missing = f"{CONTOSO}/customers/{uuid.uuid4()}"
    batch = guard.call(CUSTOMERS, "BatchGetCustomers", parent=CONTOSO, names=[theirs.name, missing, ours.name])
    assert [result.HasField("customer") for result in batch.results] == [True, False, True]
    fresh = guard.call(CUSTOMERS, "GetCustomer", name=theirs.name, max_staleness={"seconds": 0})
    assert fresh.verified_at.ToMicroseconds() > theirs.verified_at.ToMicroseconds() and not fresh.stale
    basic = guard.call(CUSTOMERS, "GetCustomer", name=theirs.name, view="CUSTOMER_VIEW_BASIC", min_revision=fresh.revision)
    assert not basic.HasField("primary_contact") and basic.company_name == fresh.company_name
    owned = guard.call(CUSTOMERS, "GetFieldOwnership", name=theirs.name)
    owners = {field.field: field.owner for field in owned.fields}
    assert owners["primary_contact.email"] != owners["note"]
    print(f"{theirs.name} was read as fresh as it can be, in both views, with the owner of every field")
    return fresh


def refusing(guard, theirs):
    """A guarded edit, and its decision."""
    edit = {"name": theirs.name, "primary_contact": {"email": "not.ours@example.com"}}
    mask = {"paths": ["primary_contact.email"]}
    try:
        guard.call(CUSTOMERS, "UpdateCustomer", customer=edit, update_mask=mask)
    except grpc.RpcError as error:
        refused = details_of(error, guard)[f"{PACKAGE}.EditRefused"]
    else:
        raise AssertionError("the edit was not refused")
    decision = guard.call(DECISIONS, "GetDecision", name=f"{CONTOSO}/decisions/{refused.decision_id}")
    assert [violation.field for violation in decision.violations] == ["primary_contact.email"]
    listed = guard.call(DECISIONS, "ListDecisions", parent=CONTOSO, customer=theirs.name)
    assert decision in listed.decisions
    print(f"a guarded edit was refused, and the refusal is {decision.name}")


def synchronizing(guard, theirs):
    """Status, a sync by hand, one refresh, and a pause."""
    status = guard.call(SYNC, "GetSyncStatus", name=f"{CONTOSO}/syncStatus")
    assert status.active_customers > 0
    try:
        run = guard.call(SYNC, "StartSync", parent=CONTOSO, request_id=str(uuid.uuid4()))
    except grpc.RpcError as error:
        assert details_of(error, guard)["google.rpc.ErrorInfo"].reason == "SYNC_COOLDOWN"
        run = status.last_full_sync
    assert guard.call(SYNC, "GetSyncRun", name=run.name).name == run.name
    assert run.name in [listed.name for listed in guard.call(SYNC, "ListSyncRuns", parent=CONTOSO).sync_runs]
    # A direct-bill partner has none.
    assert not guard.call(SYNC, "ListResellers", parent=CONTOSO).resellers
    guard.call(SYNC, "RefreshCustomer", name=theirs.name)
    paused = guard.call(SYNC, "PauseCustomer", name=theirs.name, reason="under investigation")
    assert paused.pause.reason == "under investigation"
    assert guard.reason(SYNC, "RefreshCustomer", name=theirs.name) == "CUSTOMER_PAUSED"
    resumed = guard.call(SYNC, "ResumeCustomer", name=theirs.name)
    assert not resumed.HasField("pause")
    print(f"contoso: {status.active_customers} active customers; one was refreshed, paused and resumed")


def explaining(guard, theirs):
    """Why somebody is here, or not."""
    verdict = guard.message("CustomerExplanation").DESCRIPTOR.fields_by_name["verdict"].enum_type
    name_of = lambda explained: verdict.values_by_number[explained.verdict].name
    here = guard.call(SYNC, "ExplainCustomer", parent=CONTOSO, microsoft_tenant_id=theirs.microsoft_tenant_id)
    assert name_of(here) == "EXPLANATION_VERDICT_SYNCED" and here.customer == theirs.name, here
    absent = guard.call(SYNC, "ExplainCustomer", parent=CONTOSO, microsoft_tenant_id=str(uuid.uuid4()))
    assert name_of(absent) in ("EXPLANATION_VERDICT_NOT_FOUND", "EXPLANATION_VERDICT_NEVER_ACCEPTED"), absent
    print(f"one that is missing: {absent.explanation} {absent.remedy}")


def linking(guard, ours, microsoft):
    """A customer in Partner Center that looks like ours: told apart, then linked and unlinked."""

    def newcomer():
        profile = {"companyName": "Aldermann Bakery", "domain": ours.domain}
        tenant = microsoft.post("/accept", **profile)["id"]
        look = lambda: [
            link
            for link in guard.call(CUSTOMERS, "ListPendingLinks", parent=CONTOSO).pending_links
            if link.microsoft_tenant_id == tenant
        ]
        [link] = eventually("the newcomer waits for a decision", look)
        assert ours.name in [candidate.customer for candidate in link.candidates]
        return tenant, link

    tenant, _ = newcomer()
    wanted = {"name": ours.name, "microsoft_tenant_id": tenant}
    preview = guard.call(CUSTOMERS, "LinkCustomer", **wanted, validate_only=True)
    assert "primary_contact.email" in preview.locked_fields and preview.replaced_fields
    linked = guard.call(CUSTOMERS, "LinkCustomer", **wanted)
    assert linked.customer.microsoft_tenant_id == tenant and linked.customer.name == ours.name
    unlinked = guard.call(CUSTOMERS, "UnlinkCustomer", name=ours.name)
    assert unlinked.primary_contact == ours.primary_contact and not unlinked.microsoft_tenant_id
    print(f"{ours.name} was linked to a customer in Partner Center, and unlinked with its own values")

    _, link = newcomer()
    dismissed = guard.call(CUSTOMERS, "DismissPendingLink", name=link.name)
    assert dismissed.microsoft_tenant_id == link.microsoft_tenant_id
    theirs = lambda: guard.call(
        CUSTOMERS, "ListCustomers", parent=CONTOSO, filter=f'microsoft_tenant_id = "{link.microsoft_tenant_id}"'
    ).customers
    eventually("the dismissed one gets a record of its own", theirs)
    print("another one was dismissed and has a record of its own")


def holding(guard, microsoft):
    """More removals at once than the service does by itself: turned down, then approved."""
    active = guard.call(SYNC, "GetSyncStatus", name=f"{CONTOSO}/syncStatus").active_customers
    limit = max(3, active // 50)
    filtered = "source = MICROSOFT AND sync_state = SYNCED AND NOT labels:toured"
    leaving = guard.call(CUSTOMERS, "ListCustomers", parent=CONTOSO, page_size=limit + 2, filter=filtered).customers
    for customer in leaving:
        microsoft.post(f"/{customer.microsoft_tenant_id}/remove")

    def whole():
        holds = guard.call(SYNC, "ListHolds", parent=CONTOSO).holds
        return next((hold for hold in holds if hold.customer_count >= len(leaving)), None)

    held = eventually("the removals are held", whole)
    turned_down = guard.call(SYNC, "DismissHold", name=held.name)
    assert turned_down.customer_count == held.customer_count
    held = eventually("they are held again", whole)
    approved = guard.call(SYNC, "ApproveHold", name=held.name)
    ended = guard.call(CUSTOMERS, "GetCustomer", name=approved.customers[0].customer)
    relationship = guard.message("Customer").DESCRIPTOR.fields_by_name["relationship"].enum_type
    assert relationship.values_by_number[ended.relationship].name == "RELATIONSHIP_ENDED", ended
    assert guard.reason(SYNC, "ApproveHold", name=held.name) in ("HOLD_NOT_FOUND", "HOLD_CHANGED")
    print(f"{approved.customer_count} removals were held, turned down, held again and approved")


def watching(guard, ours):
    """Changes as they happen, from a cursor on."""
    stream = guard.watch(parent=CONTOSO, start="WATCH_START_NOW")
    cursor = next(stream).cursor
    note = f"seen by a watcher at {time.time_ns()}"
    guard.call(CUSTOMERS, "UpdateCustomer", customer={"name": ours.name, "note": note}, update_mask={"paths": ["note"]})
    seen = next(event.change for event in stream if event.change.customer.name == ours.name)
    assert seen.customer.note == note and list(seen.changed_fields.paths) == ["note"]
    stream.cancel()
    resumed = guard.watch(parent=CONTOSO, cursor=cursor)
    assert any(event.change.customer.note == note for event in resumed), "a resumed watch missed the change"
    resumed.cancel()
    print("a change was watched, and once more after the watch was resumed")


def managing(guard):
    """A partner account from the API. Its credentials are made up, and its health says so."""
    account_id = f"tour-{uuid.uuid4().hex[:8]}"
    account = {"display_name": "A tour", "kind": "PARTNER_KIND_DIRECT_BILL", "microsoft_tenant_id": str(uuid.uuid4())}
    made = guard.call(ACCOUNTS, "CreatePartnerAccount", partner_account_id=account_id, partner_account=account)
    assert guard.call(ACCOUNTS, "GetPartnerAccount", name=made.name) == made
    assert made.name in [one.name for one in guard.call(ACCOUNTS, "ListPartnerAccounts").partner_accounts]
    secret = uuid.uuid4().hex
    with_credentials = guard.call(
        ACCOUNTS, "SetPartnerAccountCredentials", name=made.name, client_id=str(uuid.uuid4()), client_secret=secret
    )
    assert secret not in str(with_credentials)
    # Nothing waits: nobody has signed in with these, so there is nothing to accept.
    reason = guard.reason(ACCOUNTS, "AcceptCredentials", name=made.name, trial_id="0" * 32)
    assert reason == "CREDENTIAL_TRIAL_NOT_FOUND", reason
    health = guard.call(ACCOUNTS, "CheckPartnerAccountHealth", name=made.name)
    assert not health.healthy, health
    failed = next(check for check in health.checks if not check.passed)
    stopped = guard.call(
        ACCOUNTS,
        "UpdatePartnerAccount",
        partner_account={"name": made.name, "state": "PARTNER_ACCOUNT_STATE_DISABLED"},
        update_mask={"paths": ["state"]},
    )
    assert stopped.state != made.state
    # A demo receives no events, so there is no webhook secret to replace.
    assert guard.reason(ACCOUNTS, "RotateWebhookSecret", name=made.name) == "WEBHOOK_NOT_OURS"
    print(f"{made.name} was made; its health: {failed.reason}. {failed.remedy}")


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"
    simulator = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:8095"
    guard, microsoft = Recording(address), Microsoft(simulator)
    ours = writing(guard)
    theirs = reading(guard, ours)
    refusing(guard, theirs)
    synchronizing(guard, theirs)
    explaining(guard, theirs)
    watching(guard, ours)
    linking(guard, guard.call(CUSTOMERS, "GetCustomer", name=ours.name), microsoft)
    holding(guard, microsoft)
    managing(guard)
    forgotten = guard.offered() - guard.called
    assert not forgotten, f"never called: {sorted(forgotten)}"
    print(f"all {len(guard.called)} rpcs were called")


if __name__ == "__main__":
    main()
