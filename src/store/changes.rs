//! The change log: one row for every change of a customer, written with the change.

pub(super) use crate::domain::change::ChangeKind;
use crate::domain::customer::Customer;
use crate::domain::field::Field;
use crate::domain::ids::{ChangePosition, RunId};
use crate::store::statement::statement;
use crate::store::{Error, Tx};

/// Who changes what is written by synchronization.
pub(super) const PARTNER_CENTER: &str = "partner-center";

impl Tx {
    /// Records that `customer` now has its revision because of a change of that kind; returns where that stands.
    pub(super) async fn log_change(
        &mut self,
        customer: &Customer,
        kind: ChangeKind,
        fields: &[Field],
        actor: &str,
        run: Option<RunId>,
    ) -> Result<ChangePosition, Error> {
        const INSERT: &str = "
            INSERT INTO change_log (account, customer_id, revision, kind, fields, actor, run_id, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING sequence";
        let now = self.now().micros();
        let place: i64 = statement(INSERT)
            .bind(customer.account.as_str())
            .bind(customer.id.to_string())
            .bind(customer.revision.0)
            .bind(kind.name())
            .bind(paths(fields))
            .bind(actor)
            .bind(run.map(|run| run.to_string()))
            .bind(now)
            .fetch_value(self.connection())
            .await?;
        self.tell_of_change(ChangePosition(place));
        Ok(ChangePosition(place))
    }
}

/// Field paths as one text.
pub(super) fn paths(fields: &[Field]) -> String {
    fields.iter().map(Field::to_string).collect::<Vec<_>>().join(",")
}
