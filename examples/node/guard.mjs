// The services of one Customer Guard as promises, from the proto files alone, and its errors taken apart.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const protos = fileURLToPath(new URL("../../proto", import.meta.url));
const files = ["customer_service", "decision_service", "errors", "partner_account_service", "sync_service"];
const loaded = protoLoader.loadSync(
  files.map((file) => `customerguard/v1/${file}.proto`),
  { includeDirs: [protos], keepCase: true, longs: Number, enums: String, defaults: true },
);
const { v1 } = grpc.loadPackageDefinition(loaded).customerguard;

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

/** Connects to a server and remembers which rpcs were called. */
export function connect(address) {
  const called = new Set();
  const offered = [];
  const services = {};
  const clients = [];
  const patience = (milliseconds) => ({ deadline: Date.now() + milliseconds });
  for (const [service, Client] of Object.entries(v1).filter(([, value]) => value.service)) {
    const client = new Client(address, grpc.credentials.createInsecure());
    clients.push(client);
    services[service] = {};
    for (const [method, { responseStream }] of Object.entries(Client.service)) {
      offered.push(`${service}/${method}`);
      services[service][method] = (request) => {
        called.add(`${service}/${method}`);
        if (responseStream) return client[method](request, patience(90_000));
        return new Promise((resolve, reject) => {
          client[method](request, patience(10_000), (error, reply) => (error ? reject(error) : resolve(reply)));
        });
      };
    }
  }
  return {
    services,
    called,
    detailsOf,
    /** The events of a watch. It ends quietly when it is cancelled. */
    watch(request) {
      const stream = services.CustomerService.WatchCustomers(request);
      // Leaving a loop over the stream aborts it, and cancelling it cancels the call; both are wanted.
      const ends = [grpc.status.CANCELLED, "ABORT_ERR"];
      stream.on("error", (error) => assert.ok(ends.includes(error.code), error.message));
      return stream;
    },
    /** The error of a call that must be refused by a precondition, with its details. */
    async refused(call) {
      const error = await call.then(() => assert.fail("the call was not refused"), (error) => error);
      assert.equal(error.code, grpc.status.FAILED_PRECONDITION, error.message);
      return { error, details: detailsOf(error) };
    },
    forgotten: () => offered.filter((rpc) => !called.has(rpc)),
    close: () => clients.forEach((client) => client.close()),
  };
}
