//! The control plane over HTTP, for load scripts and tests in other processes: JSON in, JSON out, under `/_simulator/`.
//!
//! | call | body or query | does |
//! |---|---|---|
//! | `GET state`, `counters`, `weights`, `faults`, `keys` | | reads |
//! | `GET calls` | `?path=<prefix>&after=<sequence>` | the latest calls |
//! | `GET users` | `?email=` | one user |
//! | `POST faults` | a rule or a list of rules | adds faults |
//! | `DELETE faults` | `?id=` or nothing for all | removes faults |
//! | `POST release` | | lets held calls go |
//! | `POST wait` | `{path, calls, timeout_ms}` | waits for calls, 504 in vain |
//! | `POST reset`, `reset-counters`, `reset-weights` | | starts anew |
//! | `POST latency` | `{ms}` | delays the exchange |
//! | `POST clock`, `auth-clock` | `{"fixed":{"at_ms":…}}`, `{"running_from":…}`, `{"offset":{"ms":…}}` | sets a clock |
//! | `POST advance` | `{ms}` | moves the exchange's clock |
//! | `POST weight-rules` | `{limit, calls_until_ban, ban_seconds}` | changes the limits |
//! | `POST ban` | `{seconds}` | bans, or lifts the ban with 0 |
//! | `POST outages` | `{symbol?, interval?, start, end}` | makes candles missing |
//! | `DELETE outages` | the outage, or nothing for all | ends outages; all: halts too |
//! | `POST restatements` | `{symbol, interval, open_time, close, volume}` | serves a row with other values |
//! | `POST symbol-visibility` | `{symbol, visibility}`: `listed`, `delisted` (candles only), `hidden` | hides a symbol |
//! | `POST symbol-status` | `{symbol, status}` | halts a symbol |
//! | `POST warm` | `{symbol, interval, start, end}` | prepares candles |
//! | `POST tokens` | a token specification | mints a token |
//! | `POST users` | `{email, …change}` | changes a user |
//! | `POST keys/standby`, `keys/rotate`, `keys/revoke`, `keys/legacy` | `{algorithm}`, –, `{kid}`, `{legacy}` | signing keys |

use crate::binance::weights::WeightRules;
use crate::clock::ClockSetting;
use crate::control::{Control, ControlError};
use crate::faults::FaultRule;
use crate::market::{Outage, Restatement, Visibility};
use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;
use crate::supabase::accounts::UserChange;
use crate::supabase::keys::KeyAlgorithm;
use crate::supabase::token_spec::TokenSpec;
use candlemill_shared::{Interval, Symbol, TimeRange};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("no such command; see the documentation of the simulator's commands")]
    Unknown,
    #[error("the body is not what the command needs: {0}")]
    Body(#[from] serde_json::Error),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("no such {0}")]
    Missing(&'static str),
}

impl CommandError {
    fn answer(&self) -> Answer {
        let status = match self {
            Self::Unknown | Self::Missing(_) => 404,
            Self::Control(ControlError::TimedOut { .. }) => 504,
            Self::Body(_) | Self::Control(_) => 400,
        };
        Answer::json(status, &json!({ "error": self.to_string() }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Milliseconds {
    ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seconds {
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    path: String,
    calls: u64,
    timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SymbolStatus {
    symbol: Symbol,
    status: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SymbolVisibility {
    symbol: Symbol,
    visibility: Visibility,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Warm {
    symbol: Symbol,
    interval: Interval,
    start: i64,
    end: i64,
}

#[derive(Deserialize)]
struct UserCommand {
    email: String,
    #[serde(flatten)]
    change: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Standby {
    algorithm: KeyAlgorithm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    kid: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Legacy {
    legacy: bool,
}

/// Answers one command; `command` is the path behind the prefix.
pub(crate) async fn answer(state: &Arc<SimulatorState>, request: &Request, command: &str) -> Answer {
    let control = Control::new(Arc::clone(state));
    let command = command.trim_matches('/');
    let done = match request.method.as_str() {
        "GET" => read(&control, request, command),
        "DELETE" => delete(&control, request, command),
        "POST" if command == "wait" => wait(&control, request).await,
        "POST" if command == "warm" => warm(&control, request).await,
        "POST" => match command.strip_prefix("keys/") {
            Some(command) => change_keys(&control, request, command),
            None => change(&control, request, command),
        },
        _ => Err(CommandError::Unknown),
    };
    done.map_or_else(|error| error.answer(), |body| Answer::json(200, &body))
}

fn shown(value: impl Serialize) -> Result<Value, CommandError> {
    Ok(serde_json::to_value(value)?)
}

fn read(control: &Control, request: &Request, command: &str) -> Result<Value, CommandError> {
    match command {
        "state" => shown(control.state()),
        "counters" => shown(control.counters()),
        "weights" => shown(control.weights()),
        "faults" => shown(control.faults()),
        "keys" => shown(control.keys()),
        "calls" => {
            let after = request.parameter("after").and_then(|text| text.parse().ok()).unwrap_or(0);
            shown(control.calls_after(&request.parameter("path").unwrap_or_default(), after))
        }
        "users" => {
            let user = control.user(&request.parameter("email").unwrap_or_default());
            shown(user.ok_or(CommandError::Missing("user"))?)
        }
        _ => Err(CommandError::Unknown),
    }
}

fn delete(control: &Control, request: &Request, command: &str) -> Result<Value, CommandError> {
    match (command, request.parameter("id")) {
        ("faults", None) => control.clear_faults(),
        ("faults", Some(id)) => {
            let removed = id.parse().is_ok_and(|id| control.remove_fault(id));
            return if removed { Ok(json!({})) } else { Err(CommandError::Missing("fault")) };
        }
        ("outages", _) if matches!(request.body.as_ref(), b"" | b"{}") => control.restore_market(),
        ("outages", _) => {
            let removed = control.remove_outage(&request.json::<Outage>()?);
            return if removed { Ok(json!({})) } else { Err(CommandError::Missing("outage")) };
        }
        _ => return Err(CommandError::Unknown),
    }
    Ok(json!({}))
}

fn change(control: &Control, request: &Request, command: &str) -> Result<Value, CommandError> {
    match command {
        "faults" => {
            let rules = match request.json::<OneOrMany<FaultRule>>() {
                Ok(OneOrMany::Many(rules)) => rules,
                Ok(OneOrMany::One(rule)) => vec![rule],
                // Asked again for an error that names what is wrong.
                Err(_) => vec![request.json::<FaultRule>()?],
            };
            let ids: Vec<u64> = rules.into_iter().map(|rule| control.add_fault(rule)).collect();
            return Ok(json!({ "ids": ids }));
        }
        "release" => control.release(),
        "reset" => control.reset(),
        "reset-counters" => control.reset_counters(),
        "reset-weights" => control.reset_weights(),
        "latency" => control.set_latency_ms(request.json::<Milliseconds>()?.ms.unsigned_abs()),
        "clock" => control.set_clock(request.json::<ClockSetting>()?),
        "auth-clock" => control.set_auth_clock(request.json::<ClockSetting>()?),
        "advance" => control.advance_clock(request.json::<Milliseconds>()?.ms),
        "weight-rules" => control.set_weight_rules(request.json::<WeightRules>()?),
        "ban" => control.ban_for(request.json::<Seconds>()?.seconds),
        "outages" => control.add_outage(request.json::<Outage>()?),
        "restatements" => {
            let Restatement { symbol, interval, open_time, close, volume } = request.json()?;
            control.restate(&symbol, interval, open_time, close, volume);
        }
        "symbol-visibility" => {
            let asked: SymbolVisibility = request.json()?;
            control.set_visibility(&asked.symbol, asked.visibility);
        }
        "symbol-status" => {
            let asked: SymbolStatus = request.json()?;
            control.set_symbol_status(asked.symbol, &asked.status);
        }
        "tokens" => {
            let spec = if request.body.is_empty() { TokenSpec::default() } else { request.json()? };
            return Ok(json!({ "access_token": control.mint(&spec)? }));
        }
        "users" => {
            let asked: UserCommand = request.json()?;
            let change: UserChange = serde_json::from_value(asked.change)?;
            return shown(control.change_user(&asked.email, &change));
        }
        _ => return Err(CommandError::Unknown),
    }
    Ok(json!({}))
}

fn change_keys(control: &Control, request: &Request, command: &str) -> Result<Value, CommandError> {
    match command {
        "standby" => Ok(json!({ "kid": control.add_standby_key(request.json::<Standby>()?.algorithm)? })),
        "rotate" => Ok(json!({ "kid": control.rotate_keys()? })),
        "revoke" => {
            control.revoke_key(&request.json::<Revoke>()?.kid)?;
            Ok(json!({}))
        }
        "legacy" => {
            control.use_legacy_secret(request.json::<Legacy>()?.legacy);
            Ok(json!({}))
        }
        _ => Err(CommandError::Unknown),
    }
}

async fn wait(control: &Control, request: &Request) -> Result<Value, CommandError> {
    let asked: Wait = request.json()?;
    control.wait_for_calls(&asked.path, asked.calls, Duration::from_millis(asked.timeout_ms)).await?;
    shown(control.counters())
}

async fn warm(control: &Control, request: &Request) -> Result<Value, CommandError> {
    let asked: Warm = request.json()?;
    let rows = control.warm(&asked.symbol, asked.interval, TimeRange::new(asked.start, asked.end)).await?;
    Ok(json!({ "rows": rows }))
}
