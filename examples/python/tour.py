"""A tour of Customer Guard from Python, with nothing generated: every message comes from server reflection.

    pip install -r requirements.txt
    python tour.py [HOST:PORT]

Walks the list, reads a customer, changes a label, and shows what a refused edit tells a program.
"""

import sys
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PACKAGE = "customerguard.v1"


class Guard:
    """The services of one server, as functions that take and return messages."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def message(self, name):
        return GetMessageClass(self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))

    def call(self, service, method, **fields):
        descriptor = self.pool.FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(method)
        invoke = self.channel.unary_unary(
            f"/{PACKAGE}.{service}/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=GetMessageClass(descriptor.output_type).FromString,
        )
        return invoke(GetMessageClass(descriptor.input_type)(**fields), timeout=10)

    def list_customers(self, parent, page_size):
        token = ""
        while True:
            page = self.call("CustomerService", "ListCustomers", parent=parent, page_size=page_size, page_token=token)
            yield from page.customers
            token = page.next_page_token
            if not token:
                return


def details_of(error, guard):
    """The typed details of an error, by the name of their type."""
    known = {
        "google.rpc.ErrorInfo": error_details_pb2.ErrorInfo,
        "google.rpc.PreconditionFailure": error_details_pb2.PreconditionFailure,
        "google.rpc.BadRequest": error_details_pb2.BadRequest,
        "google.rpc.Help": error_details_pb2.Help,
        "google.rpc.RetryInfo": error_details_pb2.RetryInfo,
        f"{PACKAGE}.EditRefused": guard.message("EditRefused"),
    }
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    found = {}
    for detail in status_pb2.Status.FromString(packed).details:
        name = detail.type_url.rpartition("/")[2]
        found[name] = known[name].FromString(detail.value)
    return found


def refused_edit(guard, **edit):
    """What the server says to an edit that it must refuse."""
    try:
        guard.call("CustomerService", "UpdateCustomer", **edit)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        return details_of(error, guard)
    raise AssertionError("the edit was not refused")


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"
    guard = Guard(address)

    names = [customer.name for customer in guard.list_customers("partnerAccounts/-", page_size=100)]
    assert len(names) == len(set(names)), "a customer was listed twice"
    print(f"{len(names)} customers in all, none twice")

    customer = next(guard.list_customers("partnerAccounts/contoso", page_size=1))
    print(f"one of them: {customer.name} ({customer.company_name})")

    tour = f"python {time.time_ns()}"
    changed = guard.call(
        "CustomerService",
        "UpdateCustomer",
        customer={"name": customer.name, "etag": customer.etag, "labels": {**customer.labels, "toured": tour}},
        update_mask={"paths": ["labels"]},
    )
    assert changed.labels["toured"] == tour and changed.etag != customer.etag
    print(f"its label was changed: {dict(changed.labels)}")

    details = refused_edit(
        guard,
        customer={
            "name": customer.name,
            "primary_contact": {"email": "somebody.else@example.com", "address": {"city": "Elsewhere"}},
            "billing_contact": {"email": "invoices@example.com"},
            "note": "the caller may write this one",
        },
        update_mask={"paths": ["primary_contact.email", "primary_contact.address.city", "billing_contact.email", "note"]},
    )
    info = details["google.rpc.ErrorInfo"]
    refused = details[f"{PACKAGE}.EditRefused"]
    print(f"\nan edit was refused: {info.reason}, decision {refused.decision_id}")
    for violation in refused.violations:
        print(f"  {violation.field}: {violation.rule}; change {violation.upstream_field} in Partner Center")
    print(f"  would have passed: {', '.join(refused.acceptable_fields)}")
    print(f"  {refused.fix.instruction} {refused.fix.uri}")
    fields = {violation.field for violation in refused.violations}
    assert fields == {"primary_contact.email", "primary_contact.address.city", "billing_contact.email"}, fields
    assert len(details["google.rpc.PreconditionFailure"].violations) == 3

    after = guard.call("CustomerService", "GetCustomer", name=customer.name)
    assert after.etag == changed.etag, "a refused edit changed something"
    print("  and nothing was written")

    status = guard.call("SyncService", "GetSyncStatus", name="partnerAccounts/contoso/syncStatus")
    print(f"\ncontoso: {status.active_customers} active customers, {status.incremental_mode_reason}")


if __name__ == "__main__":
    main()
