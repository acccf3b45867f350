//! Requests that may be repeated: the fingerprint that tells two of them apart, and the answer that is kept.

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::domain::access::Caller;
use crate::domain::text::FieldProblem;
use crate::grpc::{proto, status};
use crate::store::RequestKey;

/// The key under which a request is remembered; `None` when it has no id. `content` is the request without its id.
pub(super) fn key(
    caller: &Caller,
    rpc: &str,
    request_id: &str,
    content: &impl Message,
) -> Result<Option<RequestKey>, FieldProblem> {
    if request_id.is_empty() {
        return Ok(None);
    }
    let id = request_id.parse().map_err(|_| FieldProblem::new("request_id", "must be a UUID"))?;
    // Maps are encoded in key order, so the same request has the same bytes.
    let bytes = [rpc.as_bytes(), &[0], &content.encode_to_vec()].concat();
    let fingerprint = digest(&SHA256, &bytes).as_ref().to_vec();
    Ok(Some(RequestKey { caller: caller.subject.clone(), id, fingerprint }))
}

/// An answer as it is kept: `google.rpc.Status`, whose only detail is the customer when it is OK.
pub(super) fn keep(answer: Result<proto::Customer, Status>) -> Vec<u8> {
    match answer {
        Ok(customer) => {
            let detail = prost_types::Any { type_url: CUSTOMER.to_owned(), value: customer.encode_to_vec() };
            pb::Status { code: Code::Ok as i32, message: String::new(), details: vec![detail] }.encode_to_vec()
        }
        Err(status) => status.details().to_vec(),
    }
}

/// The answer that was kept.
pub(super) fn again(kept: &[u8]) -> Result<proto::Customer, Status> {
    let kept_status = pb::Status::decode(kept).map_err(|_| status::unreadable_answer())?;
    if kept_status.code != Code::Ok as i32 {
        let code = Code::from_i32(kept_status.code);
        return Err(Status::with_details(code, kept_status.message, kept.to_vec().into()));
    }
    let customer = kept_status.details.first().map(|detail| proto::Customer::decode(detail.value.as_slice()));
    customer.and_then(Result::ok).ok_or_else(status::unreadable_answer)
}

const CUSTOMER: &str = "type.googleapis.com/customerguard.v1.Customer";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::FieldProblem;
    use crate::grpc::details::invalid;

    #[test]
    fn an_answer_that_was_kept_is_given_again_whole() {
        let customer = proto::Customer { name: "partnerAccounts/a/customers/b".to_owned(), ..Default::default() };
        assert_eq!(again(&keep(Ok(customer.clone()))).expect("a customer"), customer);
        let refusal = invalid(&[FieldProblem::new("note", "is too long")]);
        let repeated = again(&keep(Err(refusal.clone()))).expect_err("a refusal");
        assert_eq!(
            (repeated.code(), repeated.message(), repeated.details()),
            (refusal.code(), refusal.message(), refusal.details())
        );
    }

    #[test]
    fn the_same_request_has_one_fingerprint_and_another_has_another() {
        let request = |note: &str| proto::Customer {
            note: note.to_owned(),
            labels: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
            ..Default::default()
        };
        let caller = Caller::loopback();
        let id = "0198c0de-7000-7000-8000-000000000001";
        let key = |rpc, note| key(&caller, rpc, id, &request(note)).expect("a UUID").expect("an id");
        assert_eq!(key("UpdateCustomer", "x"), key("UpdateCustomer", "x"));
        assert_ne!(key("UpdateCustomer", "x"), key("UpdateCustomer", "y"));
        assert_ne!(key("UpdateCustomer", "x"), key("CreateCustomer", "x"));
    }
}
