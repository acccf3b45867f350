//! Reads and writes GUIDs as lower-case text in serialized state and control messages.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use uuid::Uuid;

pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    Uuid::parse_str(&text).map_err(D::Error::custom)
}

/// The same for a GUID that may be missing.
pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use uuid::Uuid;

    // The signature is dictated by `#[serde(with)]`.
    pub(in crate::simulator) fn serialize<S: Serializer>(id: &Option<Uuid>, serializer: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::simulator) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Uuid>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| Uuid::parse_str(&text).map_err(D::Error::custom))
            .transpose()
    }
}

/// The same for several GUIDs.
pub(super) mod several {
    use std::collections::BTreeSet;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use uuid::Uuid;

    pub(in crate::simulator) fn serialize<S: Serializer>(
        ids: &BTreeSet<Uuid>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(Uuid::to_string))
    }

    pub(in crate::simulator) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<Uuid>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| Uuid::parse_str(text).map_err(D::Error::custom)).collect()
    }
}
