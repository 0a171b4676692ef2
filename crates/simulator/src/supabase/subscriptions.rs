//! `GET /rest/v1/subscriptions`: the one table that PostgREST serves here, columns `user_id` (UUID) and `tier` (text).

use super::gateway::{self, KeyRole};
use super::identity::is_uuid;
use super::mint::verify;
use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;
use candlemill_shared::Clock;
use serde_json::{Map, Value, json};

const COLUMNS: [&str; 2] = ["user_id", "tier"];
/// Asks for one object instead of an array.
const ONE_OBJECT: &str = "application/vnd.pgrst.object+json";

/// An error of PostgREST.
struct DataError {
    status: u16,
    code: &'static str,
    message: String,
}

impl DataError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn answer(self) -> Answer {
        let body = json!({ "code": self.code, "message": self.message, "details": null, "hint": null });
        let answer = Answer::json(self.status, &body);
        match self.status {
            401 => {
                let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{}\"", self.message);
                answer.with_header("www-authenticate", &challenge)
            }
            _ => answer,
        }
    }
}

pub(super) fn answer(state: &SimulatorState, request: &Request) -> Answer {
    let role = match gateway::admit(state, request) {
        Ok(role) => role,
        Err(refused) => return refused.answer(request),
    };
    rows(state, request, role).and_then(|rows| print(request, rows)).unwrap_or_else(DataError::answer)
}

fn rows(state: &SimulatorState, request: &Request, role: KeyRole) -> Result<Vec<Map<String, Value>>, DataError> {
    let subject = subject(state, request)?;
    let table = request.path.trim_start_matches("/rest/v1/");
    if table != "subscriptions" {
        let message = format!("Could not find the table 'public.{table}' in the schema cache");
        return Err(DataError::new(404, "PGRST205", message));
    }
    let columns = columns(request)?;
    let Some(user_id) = filter(request)? else { return Ok(Vec::new()) };
    // Row-level security hides rows silently: a user sees its own, other callers see none.
    let visible = role == KeyRole::Service || subject.as_deref() == Some(&user_id);
    let row =
        state.accounts.subscription(&user_id).filter(|_| visible && request.parameter("limit").as_deref() != Some("0"));
    let row = row.map(|tier| {
        let cell =
            |column: &String| if column == "tier" { Value::from(tier.as_str()) } else { Value::from(user_id.as_str()) };
        columns.iter().map(|column| (column.clone(), cell(column))).collect()
    });
    Ok(row.into_iter().collect())
}

/// The user of a bearer token, if one was sent that is not just the key again.
fn subject(state: &SimulatorState, request: &Request) -> Result<Option<String>, DataError> {
    let Some(token) = request.bearer().filter(|token| Some(*token) != request.header("apikey")) else {
        return Ok(None);
    };
    let claims = match verify(state, token) {
        Ok(claims) => claims,
        // PostgREST allows 30 s of skew, which this simulator does not.
        Err(_) if expired(state, token) => return Err(DataError::new(401, "PGRST303", "JWT expired")),
        Err(_) => return Err(DataError::new(401, "PGRST301", "JWSError JWSInvalidSignature")),
    };
    Ok(claims.get("sub").and_then(Value::as_str).map(str::to_owned))
}

/// Whether the claims, unverified, say that the token is over.
fn expired(state: &SimulatorState, token: &str) -> bool {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Map<String, Value>>(token);
    let expires = claims.ok().and_then(|claims| claims.get("exp")?.as_i64());
    expires.is_some_and(|expires| expires * 1_000 <= state.auth_clock.now_ms())
}

fn columns(request: &Request) -> Result<Vec<String>, DataError> {
    let select = request.parameter("select").unwrap_or_else(|| "*".to_owned());
    if select == "*" {
        return Ok(COLUMNS.map(str::to_owned).to_vec());
    }
    let columns: Vec<String> = select.split(',').map(|column| column.trim().to_owned()).collect();
    match columns.iter().find(|column| !COLUMNS.contains(&column.as_str())) {
        Some(unknown) => Err(DataError::new(400, "42703", format!("column subscriptions.{unknown} does not exist"))),
        None => Ok(columns),
    }
}

/// The user id of `user_id=eq.<uuid>`; without a filter nothing is served.
fn filter(request: &Request) -> Result<Option<String>, DataError> {
    let Some(filter) = request.parameter("user_id") else { return Ok(None) };
    let Some(id) = filter.strip_prefix("eq.") else {
        return Err(DataError::new(
            400,
            "PGRST100",
            format!("\"failed to parse filter ({filter})\" (line 1, column 1)"),
        ));
    };
    if is_uuid(id) {
        Ok(Some(id.to_ascii_lowercase()))
    } else {
        Err(DataError::new(400, "22P02", format!("invalid input syntax for type uuid: \"{id}\"")))
    }
}

fn print(request: &Request, rows: Vec<Map<String, Value>>) -> Result<Answer, DataError> {
    if request.header("accept").is_some_and(|accept| accept.contains(ONE_OBJECT)) {
        let count = rows.len();
        return match <[_; 1]>::try_from(rows) {
            Ok([row]) => Ok(Answer::json(200, &row.into()).with_header("content-type", ONE_OBJECT)),
            Err(_) => {
                let message =
                    format!("Cannot coerce the result to a single JSON object (the result contains {count} rows)");
                Err(DataError::new(406, "PGRST116", message))
            }
        };
    }
    let rows: Vec<Value> = rows.into_iter().map(Value::from).collect();
    Ok(Answer::json(200, &rows.into()))
}
