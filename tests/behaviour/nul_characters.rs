//! A NUL in a text, which SQLite would keep and PostgreSQL refuses: no caller gets one into the store, and none of Partner
//! Center's costs more than the text it is in.

use customer_guard::grpc::proto::{DESCRIPTORS, SyncState};
use prost_reflect::prost::Message;
use prost_reflect::prost::bytes::{Buf, BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use crate::harness::World;
use crate::harness::cast::bakery;

const NUL: &str = "a\0b";

/// Messages as bytes.
#[derive(Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// The ways to every text of a message.
fn texts(message: &MessageDescriptor, depth: usize) -> Vec<Vec<FieldDescriptor>> {
    let mut found = Vec::new();
    for field in message.fields() {
        match field.kind() {
            Kind::String => found.push(vec![field]),
            Kind::Message(_) if field.is_map() => found.push(vec![field]),
            Kind::Message(inner) if depth > 0 => {
                for mut rest in texts(&inner, depth - 1) {
                    rest.insert(0, field.clone());
                    found.push(rest);
                }
            }
            _ => {}
        }
    }
    found
}

/// Puts a NUL at the end of a way.
fn put(message: &mut DynamicMessage, way: &[FieldDescriptor]) {
    let Some((field, rest)) = way.split_first() else { return };
    if field.is_map() {
        let texts = [(MapKey::String("team".to_owned()), Value::String(NUL.to_owned()))];
        // Only maps of texts are in requests.
        message.set_field(field, Value::Map(texts.into()));
    } else if rest.is_empty() {
        let text = Value::String(NUL.to_owned());
        message.set_field(field, if field.is_list() { Value::List(vec![text]) } else { text });
    } else if field.is_list() {
        let Kind::Message(inner) = field.kind() else { return };
        let mut element = DynamicMessage::new(inner);
        put(&mut element, rest);
        message.set_field(field, Value::List(vec![Value::Message(element)]));
    } else if let Value::Message(inner) = message.get_field_mut(field) {
        put(inner, rest);
    }
}

/// A request with everything that has to be there.
fn filled(input: &MessageDescriptor, name: &str, customer: &[u8]) -> DynamicMessage {
    let mut request = DynamicMessage::new(input.clone());
    for field in input.fields() {
        match field.kind() {
            Kind::String if matches!(field.name(), "name" | "parent") => {
                request.set_field(&field, Value::String(name.to_owned()));
            }
            Kind::String if field.name() == "names" => {
                request.set_field(&field, Value::List(vec![Value::String(name.to_owned())]));
            }
            Kind::Message(inner) if field.name() == "customer" => {
                let customer = DynamicMessage::decode(inner, customer).expect("a customer");
                request.set_field(&field, Value::Message(customer));
            }
            _ => {}
        }
    }
    request
}

#[tokio::test]
async fn no_caller_gets_one_into_the_store() {
    let world = World::with_customers(1).await;
    let made = world.guard.create(bakery()).await;
    let names = ["partnerAccounts/contoso", "partnerAccounts/contoso/syncStatus", made.name.as_str()];
    let customer = made.encode_to_vec();
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("the descriptors");
    let mut client = Grpc::new(world.guard.channel.clone());
    let (mut asked, mut wrong) = (0, Vec::new());
    for service in pool.services().filter(|service| service.package_name() == "customerguard.v1") {
        for method in service.methods() {
            for (way, name) in
                texts(&method.input(), 4).iter().flat_map(|way| names.iter().map(move |name| (way, name)))
            {
                let mut request = filled(&method.input(), name, &customer);
                put(&mut request, way);
                let path = format!("/{}/{}", service.full_name(), method.name()).parse().expect("a path");
                client.ready().await.expect("the service accepts");
                let mut sent = Request::new(request.encode_to_vec());
                sent.set_timeout(std::time::Duration::from_secs(60));
                let code = if method.is_server_streaming() {
                    client
                        .server_streaming(sent, path, Bytes)
                        .await
                        .map(|_| ())
                        .map_or_else(|told| told.code(), |()| Code::Ok)
                } else {
                    client.unary(sent, path, Bytes).await.map_or_else(|told| told.code(), |_| Code::Ok)
                };
                asked += 1;
                if matches!(code, Code::Internal | Code::Unknown) {
                    let way: Vec<_> = way.iter().map(|field| field.name().to_owned()).collect();
                    wrong.push(format!("{} {} with {name}: {code:?}", method.name(), way.join(".")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(asked > 300, "only {asked} texts were met");
    world.end().await;
}

#[tokio::test]
async fn one_of_partner_centers_costs_only_the_customer_it_is_in() {
    let world = World::with_customers(3).await;
    let tenants = world.tenants();
    let spoiled = world.customer(tenants[0]).await;
    world.change_email(tenants[0], "a\0b@example.com");
    world.upstream.simulator.rename(world.contoso(), tenants[1], "Linden\0").expect("a known customer");
    world.change_email(tenants[2], "new@example.com");
    world.wait_for_email(tenants[2], "new@example.com", world.plan.audit_interval).await;
    // The list that holds such a name is read to its end, and so is a night.
    world.read_list().await;
    let night = world.pass_a_night().await;
    assert_eq!((night.fetched, night.unusable), (3, 2), "{night:?}");
    let kept = world.guard.get(&spoiled.name).await;
    assert_eq!(kept.sync_state(), SyncState::Quarantined);
    assert_eq!(kept.primary_contact, spoiled.primary_contact, "the last good contact stays");
    assert_eq!(world.guard.status("contoso").await.quarantined, 2);
    world.end().await;
}
