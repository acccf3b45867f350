//! How the service behaves: the real App on a real port, a real gRPC client, a real SQLite file, and Partner Center
//! played by the simulator over HTTP. One binary; a module for each matter.

mod harness;

//mod reads;
//mod edits;
//mod refusals;
//mod bad_input;
//mod incremental_sync;
mod full_sync;
//mod removals;
//mod refresh;
//mod restart;
//mod shutdown;
