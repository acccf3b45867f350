//! A caller that watches customers change, and what it has been told.

use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::watch_customers_response::Event;
use tonic::Streaming;
use tonic::transport::Channel;

use super::soon;
use super::told::Told;

/// An open watch.
pub struct Watcher {
    stream: Streaming<proto::WatchCustomersResponse>,
    /// That of the last message, or the one it began with.
    pub cursor: String,
}

/// A request for everything below a parent.
pub fn watching(parent: &str) -> proto::WatchCustomersRequest {
    proto::WatchCustomersRequest { parent: parent.to_owned(), ..Default::default() }
}

/// A request for what changes from now on.
pub fn from_now_on(parent: &str) -> proto::WatchCustomersRequest {
    proto::WatchCustomersRequest { start: proto::WatchStart::Now.into(), ..watching(parent) }
}

/// A request that goes on after a cursor.
pub fn resuming(parent: &str, cursor: &str) -> proto::WatchCustomersRequest {
    proto::WatchCustomersRequest { cursor: cursor.to_owned(), ..watching(parent) }
}

impl Watcher {
    pub async fn open(
        client: &CustomerServiceClient<Channel>,
        request: proto::WatchCustomersRequest,
    ) -> Result<Self, Told> {
        let cursor = request.cursor.clone();
        let opened = soon("a watch opens", client.clone().watch_customers(request)).await;
        Ok(Self { stream: opened.map_err(Told::from)?.into_inner(), cursor })
    }

    /// The next message, or why there is none any more.
    pub async fn try_next(&mut self) -> Result<Event, Told> {
        let message = soon("a message comes", self.stream.message()).await.map_err(Told::from)?;
        let message = message.expect("a watch ends with a status");
        assert_ne!(message.cursor, "", "every message has a cursor");
        self.cursor = message.cursor;
        Ok(message.event.expect("every message has an event"))
    }

    pub async fn next(&mut self) -> Event {
        self.try_next().await.expect("a message")
    }

    /// The next message that is no checkpoint.
    pub async fn next_news(&mut self) -> Event {
        loop {
            match self.next().await {
                Event::Checkpoint(_) => {}
                news => return news,
            }
        }
    }

    /// The next change, if no snapshot comes before it.
    pub async fn change(&mut self) -> proto::CustomerChange {
        match self.next_news().await {
            Event::Change(change) => change,
            other => panic!("a change, not {other:?}"),
        }
    }

    /// The next checkpoint, if nothing else comes before it.
    pub async fn checkpoint(&mut self) -> proto::Checkpoint {
        match self.next().await {
            Event::Checkpoint(checkpoint) => checkpoint,
            other => panic!("a checkpoint, not {other:?}"),
        }
    }

    /// The cause of the snapshot that comes now, its customers, and its end.
    pub async fn snapshot(&mut self) -> (proto::SnapshotCause, Vec<proto::Customer>) {
        let Event::SnapshotStart(start) = self.next().await else { panic!("a snapshot begins") };
        let (customers, count) = self.rest_of_snapshot().await;
        assert_eq!(count, customers.len());
        (start.cause(), customers)
    }

    /// The customers that follow, and how many the end of the snapshot counts.
    pub async fn rest_of_snapshot(&mut self) -> (Vec<proto::Customer>, usize) {
        let mut customers = Vec::new();
        loop {
            match self.next().await {
                Event::SnapshotCustomer(customer) => customers.push(customer),
                Event::SnapshotEnd(end) => {
                    return (customers, usize::try_from(end.customers).expect("not negative"));
                }
                other => panic!("a customer of the snapshot, not {other:?}"),
            }
        }
    }

    /// Why the watch ends, once everything before has been told.
    pub async fn end(mut self) -> Told {
        loop {
            if let Err(told) = self.try_next().await {
                return told;
            }
        }
    }
}
