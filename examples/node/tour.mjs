// A tour of Customer Guard from Node: walks the list, reads a customer, changes a label, and shows what a refused
// edit tells a program.
//
//     npm install
//     node tour.mjs [HOST:PORT]

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const protos = fileURLToPath(new URL("../../proto", import.meta.url));
const files = ["customer_service", "sync_service", "errors"].map((file) => `customerguard/v1/${file}.proto`);
const loaded = protoLoader.loadSync(files, { includeDirs: [protos], keepCase: true, longs: Number, enums: String, defaults: true });
const { customerguard } = grpc.loadPackageDefinition(loaded);

// The details of an error travel as google.rpc.Status in a trailer.
const details = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
`).root;
const own = new protobuf.Root();
own.resolvePath = (_, target) => (target.startsWith("google/") || target.startsWith("/") ? target : `${protos}/${target}`);
own.loadSync("customerguard/v1/errors.proto");

const address = process.argv[2] ?? "127.0.0.1:50051";
const customers = new customerguard.v1.CustomerService(address, grpc.credentials.createInsecure());
const call = (method, request) =>
  new Promise((resolve, reject) => {
    customers[method](request, { deadline: Date.now() + 10_000 }, (error, reply) => (error ? reject(error) : resolve(reply)));
  });

function detailsOf(error) {
  const [packed] = error.metadata.get("grpc-status-details-bin");
  const found = {};
  for (const { typeUrl, value } of details.lookupType("Status").decode(packed).details) {
    const name = typeUrl.split("/").pop();
    if (name === "google.rpc.ErrorInfo") found[name] = details.lookupType("ErrorInfo").decode(value);
    if (name === "customerguard.v1.EditRefused") found[name] = own.lookupType(name).decode(value);
  }
  return found;
}

const names = new Set();
let listed = 0;
let pageToken = "";
do {
  const page = await call("ListCustomers", { parent: "partnerAccounts/-", page_size: 100, page_token: pageToken });
  for (const customer of page.customers) names.add(customer.name);
  listed += page.customers.length;
  pageToken = page.next_page_token;
} while (pageToken);
assert.equal(names.size, listed, "a customer was listed twice");
console.log(`${listed} customers in all, none twice`);

const first = await call("ListCustomers", { parent: "partnerAccounts/contoso", page_size: 1 });
const [customer] = first.customers;
const tour = `node ${Date.now()}`;
const changed = await call("UpdateCustomer", {
  customer: { name: customer.name, etag: customer.etag, labels: { ...customer.labels, toured: tour } },
  update_mask: { paths: ["labels"] },
});
assert.equal(changed.labels.toured, tour);
console.log(`${customer.name} has a new label`);

const refusal = await call("UpdateCustomer", {
  customer: { name: customer.name, billing_contact: { email: "invoices@example.com" }, note: "mine" },
  update_mask: { paths: ["billing_contact.email", "note"] },
}).then(
  () => assert.fail("the edit was not refused"),
  (error) => error,
);
assert.equal(refusal.code, grpc.status.FAILED_PRECONDITION);
const told = detailsOf(refusal);
const refused = told["customerguard.v1.EditRefused"];
assert.equal(told["google.rpc.ErrorInfo"].reason, "FIELD_OWNED_BY_PARTNER_CENTER");
assert.deepEqual(refused.violations.map((violation) => violation.field), ["billing_contact.email"]);
assert.deepEqual(refused.acceptableFields, ["note"]);
console.log(`an edit was refused, decision ${refused.decisionId}: ${refused.fix.instruction}`);

customers.close();
