//! The statements that start a session, and end the oldest ones of a user who has too many.
#![forbid(unsafe_code)]

use openssl::sha::sha256;
use tokio_postgres::types::Type;

use super::live::{end, is_live, latest_first};
use super::locate::Located;
use super::times::{NOW, epoch, from_now, is_time, stored};
use super::{DatabaseSession, Parameter, Query, Statement, Statements};
use crate::postgres::fault::Fault;
use crate::schema::{ACTIVITY_COLUMNS, CREATED_AT, EXPIRES_AT, Id, REVOKED_REASON, quoted};
use crate::store::{NewSession, Owner, SessionLimit, Started, WhenFull};

const LOGIN_METHOD: &str = "login_method";
/// Why the oldest sessions of a user end.
const REASON: &str = "max_sessions";

/// Starts one session. The id is ours: a row that is there already is the one that was inserted.
pub(in crate::postgres) struct CreateSession<'s> {
    pub(in crate::postgres) new: &'s NewSession,
}

impl Query for CreateSession<'_> {
    type Answer = Started;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &Statements) -> Result<Started, Fault> {
        let NewSession { owner, session_id, .. } = self.new;
        let unfit = |name: &str, column: &str| Fault::WrongArgument {
            name: name.to_owned(),
            problem: format!("is no id that the column {column} of the sessions can hold"),
        };
        let types = &statements.id_types;
        let session_id = types.session_id.fit(session_id).ok_or_else(|| {
            Fault::UnsuitableColumn("session_id must be a uuid or a text, since new sessions get a UUID".to_owned())
        })?;
        if types.user_id.fit(&owner.user_id).is_none() {
            return Err(unfit("userId", "user_id"));
        }
        let owner = owner.fit(types).ok_or_else(|| unfit("tenant", "tenant"))?;
        // Each choice of columns is a statement of its own, so none is kept prepared.
        let session = &DatabaseSession { prepares: false, ..*session };
        let creation = Creation { session, statements, new: self.new, owner, session_id };
        match self.new.limit {
            None => creation.insert().await.map(|expires_at| Started::Created { expires_at, revoked: 0 }),
            Some(limit) => creation.insert_within(limit).await,
        }
    }
}

struct Creation<'c> {
    session: &'c DatabaseSession<'c>,
    statements: &'c Statements,
    new: &'c NewSession,
    owner: Owner,
    session_id: Id,
}

impl Creation<'_> {
    /// When the session ends, in seconds since 1970.
    async fn insert(&self) -> Result<f64, Fault> {
        let Self { new, .. } = self;
        let mut insertion = Insertion::new(&self.statements.located, &new.columns.names);
        let keys = &self.statements.keys;
        let ids: Vec<_> = self.owner.tenant.iter().chain([&self.session_id, &self.owner.user_id]).collect();
        for ((name, column), id) in keys.names().iter().zip(keys.types()).zip(&ids) {
            insertion.bind(name, *id, column.parameter());
        }
        let max_age = f64::from(new.max_age.min(self.statements.located.schema.absolute_max_age.unwrap_or(u32::MAX)));
        let seconds = insertion.parameter(&max_age, Type::FLOAT8);
        insertion.times(&from_now(&seconds));
        let described = [
            (LOGIN_METHOD, &new.login_method),
            ("ip_address", &new.ip_address),
            ("user_agent", &new.user_agent),
            ("device_name", &new.device_name),
            ("device_type", &new.device_type),
        ];
        let is_utf8 = self.statements.located.is_utf8;
        let holdable = |text: &String| -> String {
            text.chars().map(|character| if is_utf8 || character.is_ascii() { character } else { '?' }).collect()
        };
        let given = |text: &Option<String>| text.as_ref().map(holdable).filter(|text| !text.is_empty());
        let described = described.map(|(column, text)| (column, given(text)));
        for (column, text) in &described {
            if text.as_ref().is_some_and(|text| self.statements.located.may_hold(column, text)) {
                insertion.text(column, text);
            }
        }
        if !new.columns.names.is_empty() {
            insertion.columns(&new.columns.json);
        }
        let ends = epoch(&from_now(&seconds));
        let (statement, parameters) = insertion.statement(&ends);
        match self.number(&statement, &parameters).await? {
            Some(expires_at) => Ok(expires_at),
            None => self.inserted_before(max_age).await,
        }
    }

    /// The row is there if the answer to an earlier attempt was lost.
    async fn inserted_before(&self, max_age: f64) -> Result<f64, Fault> {
        let Located { schema, .. } = &self.statements.located;
        let keys = &self.statements.keys;
        let seconds = keys.names().len() + 1;
        let sql = format!(
            "SELECT {}\nFROM {} s\nWHERE {} AND {}",
            epoch(&from_now(&format!("${seconds}"))),
            schema.sessions,
            keys.equal_parameters(),
            keys.user_id.equals("s.user_id", &format!("${}", seconds - 1)),
        );
        let types = keys.types().map(|column| column.parameter()).chain([Type::FLOAT8]).collect();
        let ids = self.owner.tenant.iter().chain([&self.session_id, &self.owner.user_id]).map(|id| id as Parameter);
        let parameters: Vec<_> = ids.chain([&max_age as Parameter]).collect();
        let unless_there = || {
            let problem =
                "another session has the same value in a column that is unique, or a trigger keeps the row out";
            Fault::WrongArgument { name: "columns".to_owned(), problem: problem.to_owned() }
        };
        self.number(&Statement { sql, types }, &parameters).await?.ok_or_else(unless_there)
    }

    /// Sign-ins of one user wait for each other, since each counts what the others have started.
    async fn insert_within(&self, limit: SessionLimit) -> Result<Started, Fault> {
        let begin =
            format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_catalog.pg_advisory_xact_lock({})", self.lock());
        // If the lock is refused, the transaction has begun all the same.
        let started = match self.session.client.batch_execute(&begin).await {
            Ok(()) => self.insert_locked(limit).await,
            Err(error) => Err(error.into()),
        };
        let end = if matches!(started, Ok(Started::Created { .. })) { "COMMIT" } else { "ROLLBACK" };
        let ended = self.session.client.batch_execute(end).await;
        match started {
            Err(fault) if fault.ends_connection() => Err(fault),
            started => {
                ended?;
                started
            }
        }
    }

    async fn insert_locked(&self, SessionLimit { max, when_full }: SessionLimit) -> Result<Started, Fault> {
        let Statements { located, keys, .. } = self.statements;
        let ids = self.owner.tenant.iter().chain([&self.owner.user_id, &self.session_id]);
        let types = keys.tenant.iter().chain([&keys.user_id, &keys.session_id]);
        let mut number = 0;
        let mut parameter = || {
            number += 1;
            format!("${number}")
        };
        let tenant = keys.tenant.as_ref().map(|column| column.equals("s.tenant", &parameter()));
        let of_user = keys.user_id.equals("s.user_id", &parameter());
        let own = keys.session_id.equals("s.session_id", &parameter());
        let mut types: Vec<_> = types.map(|column| column.parameter()).collect();
        let mut parameters: Vec<_> = ids.map(|id| id as Parameter).collect();
        let replaced: Vec<_> = self.new.replaced.iter().filter_map(|id| keys.id_types().session_id.fit(id)).collect();
        let is_replaced = (!replaced.is_empty()).then(|| {
            types.push(keys.session_id.list_parameter());
            parameters.push(&replaced);
            let equal = keys.session_id.equals("s.session_id", "r.session_id");
            format!("NOT EXISTS (SELECT FROM pg_catalog.unnest({}) AS r (session_id) WHERE {equal})", parameter())
        });
        let live: Vec<_> = tenant.into_iter().chain([of_user, is_live(located)?]).chain(is_replaced).collect();
        let live = live.join(" AND ");
        let revoked = match when_full {
            WhenFull::Refuse => {
                // A row that is there already was started within the limit, by an attempt whose answer was lost.
                let sql = format!(
                    "SELECT (CASE WHEN coalesce(pg_catalog.bool_or({own}), false) THEN 0 ELSE pg_catalog.count(*) END)\
                     ::pg_catalog.float8\nFROM {} s WHERE {live}",
                    located.schema.sessions
                );
                let others = self.number(&Statement { sql, types }, &parameters).await?.ok_or(Fault::MissingRow)?;
                if others >= f64::from(max) {
                    return Ok(Started::Full);
                }
                0
            }
            WhenFull::RevokeOldest => {
                let kept = i64::from(max) - 1;
                let order = latest_first(located);
                let rows = format!("{live} AND NOT {own}\n  ORDER BY {order}\n  OFFSET {}", parameter());
                // An enum of the app need not have it.
                let reason = located.text_if_held(REVOKED_REASON, &parameter());
                let sql = end(located, keys, &rows, reason);
                types.extend([Type::INT8, Type::TEXT]);
                parameters.extend([&kept as Parameter, &REASON]);
                self.session.execute(&Statement { sql, types }, &parameters).await?
            }
        };
        Ok(Started::Created { expires_at: self.insert().await?, revoked })
    }

    /// A number that stands for the user, whatever the letters of a `citext` and the blanks of a `char` are. Users who share a
    /// number only wait for each other.
    fn lock(&self) -> i64 {
        let text = |id: &Id| id.text().trim_end().chars().flat_map(char::to_lowercase).collect::<String>();
        let tenant = self.owner.tenant.as_ref().map(text).unwrap_or_default();
        let hash = sha256(format!("authjs-bridge\0{tenant}\0{}", text(&self.owner.user_id)).as_bytes());
        hash.iter().take(8).fold(0, |number: i64, byte| (number << 8) | i64::from(*byte))
    }

    /// The number that a statement returns.
    async fn number(&self, statement: &Statement, parameters: &[Parameter<'_>]) -> Result<Option<f64>, Fault> {
        let mut number = None;
        let read = |row: &tokio_postgres::Row| {
            number = Some(row.try_get(0)?);
            Ok(())
        };
        self.session.for_each_row(statement, parameters, read).await?;
        Ok(number)
    }
}

/// An INSERT into the sessions, column by column.
struct Insertion<'i> {
    located: &'i Located,
    /// The columns that the app sets.
    own: &'i [String],
    names: Vec<String>,
    values: Vec<String>,
    parameters: Vec<Parameter<'i>>,
    types: Vec<Type>,
}

impl<'i> Insertion<'i> {
    fn new(located: &'i Located, own: &'i [String]) -> Self {
        Self { located, own, names: Vec::new(), values: Vec::new(), parameters: Vec::new(), types: Vec::new() }
    }

    fn is_own(&self, column: &str) -> bool {
        self.own.iter().any(|name| name == column)
    }

    /// The SQL of a new parameter.
    fn parameter(&mut self, value: Parameter<'i>, parameter_type: Type) -> String {
        self.parameters.push(value);
        self.types.push(parameter_type);
        format!("${}", self.parameters.len())
    }

    fn set(&mut self, column: &str, value: String) {
        self.names.push(quoted(column));
        self.values.push(value);
    }

    fn bind(&mut self, column: &str, value: Parameter<'i>, parameter_type: Type) {
        let value = self.parameter(value, parameter_type);
        self.set(column, value);
    }

    /// The times that there are columns for.
    fn times(&mut self, end: &str) {
        let located = self.located;
        for column in [CREATED_AT].into_iter().chain(ACTIVITY_COLUMNS) {
            if is_time(located, column) && !self.is_own(column) {
                self.set(column, stored(located, column, NOW));
            }
        }
        if located.schema.has_row_expiry {
            self.set(EXPIRES_AT, stored(located, EXPIRES_AT, end));
        }
    }

    /// Nothing if there is no such column, or the app sets it.
    fn text(&mut self, column: &str, text: &'i Option<String>) {
        if self.is_own(column) {
            return;
        }
        let parameter = format!("${}", self.parameters.len() + 1);
        // What a request says must not fail a sign-in; the method is the app's own.
        let value = match column {
            LOGIN_METHOD => self.located.text_as(column, &parameter),
            _ => self.located.text_if_held(column, &parameter),
        };
        if let Some(value) = value {
            self.parameter(text, Type::TEXT);
            self.set(column, value);
        }
    }

    /// Columns of any type: PostgreSQL reads each as its own.
    fn columns(&mut self, json: &'i String) {
        let json = self.parameter(json, Type::TEXT);
        let sessions = self.located.schema.sessions.to_string();
        for name in self.own {
            let row = format!(
                "pg_catalog.jsonb_populate_record(NULL::{sessions}, {json}::pg_catalog.text::pg_catalog.jsonb)"
            );
            self.set(name, format!("({row}).{}", quoted(name)));
        }
    }

    fn statement(self, returned: &str) -> (Statement, Vec<Parameter<'i>>) {
        let sql = format!(
            "INSERT INTO {} ({})\nVALUES ({})\nON CONFLICT DO NOTHING\nRETURNING {returned}",
            self.located.schema.sessions,
            self.names.join(", "),
            self.values.join(", "),
        );
        (Statement { sql, types: self.types }, self.parameters)
    }
}
