// A tour of Customer Guard from Node: walks the list, reads a customer, changes a label, and shows what a refused
// edit tells a program.
//
//     npm install
//     node tour.mjs [HOST:PORT]

import assert from "node:assert/strict";

import { connect } from "./guard.mjs";

const guard = connect(process.argv[2] ?? "127.0.0.1:50051");
const { CustomerService } = guard.services;

const names = new Set();
let listed = 0;
let page_token = "";
do {
  const page = await CustomerService.ListCustomers({ parent: "partnerAccounts/-", page_size: 100, page_token });
  for (const customer of page.customers) names.add(customer.name);
  listed += page.customers.length;
  page_token = page.next_page_token;
} while (page_token);
assert.equal(names.size, listed, "a customer was listed twice");
console.log(`${listed} customers in all, none twice`);

const first = await CustomerService.ListCustomers({ parent: "partnerAccounts/contoso", page_size: 1 });
const [customer] = first.customers;
const tour = `node ${Date.now()}`;
const changed = await CustomerService.UpdateCustomer({
  customer: { name: customer.name, etag: customer.etag, labels: { ...customer.labels, toured: tour } },
  update_mask: { paths: ["labels"] },
});
assert.equal(changed.labels.toured, tour);
console.log(`${customer.name} has a new label`);

const { details } = await guard.refused(
  CustomerService.UpdateCustomer({
    customer: { name: customer.name, billing_contact: { email: "invoices@example.com" }, note: "mine" },
    update_mask: { paths: ["billing_contact.email", "note"] },
  }),
);
const refused = details["customerguard.v1.EditRefused"];
assert.equal(details["google.rpc.ErrorInfo"].reason, "FIELD_OWNED_BY_PARTNER_CENTER");
assert.deepEqual(refused.violations.map((violation) => violation.field), ["billing_contact.email"]);
assert.deepEqual(refused.acceptableFields, ["note"]);
console.log(`an edit was refused, decision ${refused.decisionId}: ${refused.fix.instruction}`);

guard.close();
