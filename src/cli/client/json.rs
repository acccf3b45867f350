//! Messages as canonical proto3 JSON, by the descriptors that reflection serves.

use customer_guard::grpc::proto::DESCRIPTORS;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::failure::Failure;

/// A message over several lines.
pub(super) fn pretty<M: Message + Name>(message: &M) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(&dynamic(message)?)?)
}

/// A message in one line.
pub(super) fn line<M: Message + Name>(message: &M) -> Result<String, Failure> {
    Ok(serde_json::to_string(&dynamic(message)?)?)
}

fn dynamic<M: Message + Name>(message: &M) -> Result<DynamicMessage, Failure> {
    let name = M::full_name();
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(anyhow::Error::from)?;
    let descriptor = pool.get_message_by_name(&name);
    let descriptor = descriptor.ok_or_else(|| anyhow::anyhow!("there is no descriptor of {name}"))?;
    let decoded = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice());
    Ok(decoded.map_err(anyhow::Error::from)?)
}

#[cfg(test)]
mod tests {
    use customer_guard::grpc::proto;

    use super::*;

    #[test]
    fn messages_become_canonical_proto3_json() {
        let change = proto::CustomerChange {
            customer: Some(proto::Customer {
                name: "partnerAccounts/a/customers/b".to_owned(),
                source: proto::Source::Microsoft.into(),
                revision: 7,
                verified_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 }),
                ..Default::default()
            }),
            kinds: vec![proto::ChangeKind::Synced.into()],
            changed_fields: Some(prost_types::FieldMask { paths: vec!["primary_contact.email".to_owned()] }),
            ..Default::default()
        };
        let told: serde_json::Value = serde_json::from_str(&line(&change).expect("JSON")).expect("JSON");
        let expected = serde_json::json!({
            "customer": {
                "name": "partnerAccounts/a/customers/b",
                "source": "SOURCE_MICROSOFT",
                "revision": "7",
                "verifiedAt": "2023-11-14T22:13:20.500Z",
            },
            "kinds": ["CHANGE_KIND_SYNCED"],
            "changedFields": "primaryContact.email",
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn every_message_a_command_prints_has_a_descriptor() {
        assert!(pretty(&proto::SyncStatus::default()).is_ok());
        assert!(pretty(&proto::CustomerExplanation::default()).is_ok());
        assert!(pretty(&proto::FieldOwnership::default()).is_ok());
        assert!(pretty(&proto::PartnerAccountHealth::default()).is_ok());
        assert!(pretty(&proto::WatchCustomersResponse::default()).is_ok());
        assert!(pretty(&proto::Hold::default()).is_ok());
        assert!(pretty(&proto::Decision::default()).is_ok());
        assert!(pretty(&proto::LinkCustomerResponse::default()).is_ok());
    }
}
