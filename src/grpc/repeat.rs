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

/// An answer as it is kept: `google.rpc.Status`, whose first detail is the message when it is OK.
pub(super) fn keep<M: Message>(answer: Result<M, Status>) -> Vec<u8> {
    match answer {
        Ok(message) => kept(vec![detail(&message)]),
        Err(status) => status.details().to_vec(),
    }
}

/// As [`keep`], with the refusal that was only reported.
pub(super) fn keep_reported(answer: Result<impl Message, Status>, reported: Option<&proto::EditRefused>) -> Vec<u8> {
    match (answer, reported) {
        (Ok(message), Some(reported)) => kept(vec![detail(&message), detail(reported)]),
        (answer, _) => keep(answer),
    }
}

/// The answer that was kept.
pub(super) fn again<M: Message + Default>(kept: &[u8]) -> Result<M, Status> {
    let kept_status = pb::Status::decode(kept).map_err(|_| status::unreadable_answer())?;
    if kept_status.code != Code::Ok as i32 {
        let code = Code::from_i32(kept_status.code);
        return Err(Status::with_details(code, kept_status.message, kept.to_vec().into()));
    }
    let message = kept_status.details.first().map(|detail| M::decode(detail.value.as_slice()));
    message.and_then(Result::ok).ok_or_else(status::unreadable_answer)
}

/// The refusal that was reported with the answer that was kept.
pub(super) fn reported_again(kept: &[u8]) -> Option<proto::EditRefused> {
    let kept_status = pb::Status::decode(kept).ok().filter(|status| status.code == Code::Ok as i32)?;
    proto::EditRefused::decode(kept_status.details.get(1)?.value.as_slice()).ok()
}

fn kept(details: Vec<prost_types::Any>) -> Vec<u8> {
    pb::Status { code: Code::Ok as i32, message: String::new(), details }.encode_to_vec()
}

/// The rpc tells the type, so that no name is kept with it.
fn detail(message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: String::new(), value: message.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::FieldProblem;
    use crate::grpc::details::invalid;

    #[test]
    fn an_answer_that_was_kept_is_given_again_whole() {
        let customer = proto::Customer { name: "partnerAccounts/a/customers/b".to_owned(), ..Default::default() };
        assert_eq!(again::<proto::Customer>(&keep(Ok(customer.clone()))).expect("a customer"), customer);
        assert_eq!(reported_again(&keep(Ok(customer.clone()))), None);
        let refusal = invalid(&[FieldProblem::new("note", "is too long")]);
        let repeated = again::<proto::Customer>(&keep::<proto::Customer>(Err(refusal.clone()))).expect_err("a refusal");
        assert_eq!(
            (repeated.code(), repeated.message(), repeated.details()),
            (refusal.code(), refusal.message(), refusal.details())
        );
    }

    #[test]
    fn a_reported_refusal_is_kept_with_the_answer() {
        let customer = proto::Customer { note: "written".to_owned(), ..Default::default() };
        let reported = proto::EditRefused { decision_id: "d".to_owned(), ..Default::default() };
        let kept = keep_reported(Ok(customer.clone()), Some(&reported));
        assert_eq!(again::<proto::Customer>(&kept).expect("a customer"), customer);
        assert_eq!(reported_again(&kept), Some(reported));
    }

    #[test]
    fn the_same_request_has_one_fingerprint_and_another_has_another() {
        let request = |note: &str| proto::Customer {
            note: note.to_owned(),
            labels: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
            ..Default::default()
        };
        let caller = Caller::loopback(None);
        let id = "0198c0de-7000-7000-8000-000000000001";
        let key = |rpc, note| key(&caller, rpc, id, &request(note)).expect("a UUID").expect("an id");
        assert_eq!(key("UpdateCustomer", "x"), key("UpdateCustomer", "x"));
        assert_ne!(key("UpdateCustomer", "x"), key("UpdateCustomer", "y"));
        assert_ne!(key("UpdateCustomer", "x"), key("CreateCustomer", "x"));
    }
}
