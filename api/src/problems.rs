//! `GET /problems`: what every problem code means. Problem documents point here.

use axum::response::Html;
use std::fmt::Write as _;

/// Every code, with its status and what to do about it.
pub const CODES: &[(&str, u16, &str)] = &[
    ("admin_disabled", 403, "The API was started without ADMIN_TOKEN, so the calls under /api/admin are refused."),
    ("auth_misconfigured", 503, "Supabase refuses this server's own key. Its operator has to mend the configuration."),
    ("auth_unavailable", 503, "Supabase does not answer, so tokens cannot be checked. Try again after Retry-After."),
    (
        "body_too_large",
        413,
        "The body has more than 16 KiB, or that of a batch more than 2 MiB. Most requests have a few hundred bytes.",
    ),
    ("chart_not_found", 404, "The study has no chart of this name. The member charts of the study lists them."),
    ("expired_token", 401, "The access token's time is over. Refresh the session."),
    (
        "foreign_page",
        403,
        "The calls under /api/session are for pages of this service alone, as the header Origin says.",
    ),
    (
        "idempotency_conflict",
        409,
        "The Idempotency-Key stands for another request of the last 24 hours. Use a new key.",
    ),
    ("internal_error", 500, "An internal error. It is logged under error_id; please report it."),
    ("invalid_admin_token", 401, "The calls under /api/admin take the token of ADMIN_TOKEN, not a user's."),
    ("invalid_request", 400, "Fields or parameters are missing or wrong. The member errors names each of them."),
    (
        "invalid_schedule_id",
        400,
        "The path holds no id of a schedule. Ids are those that the call which created it returned.",
    ),
    ("invalid_task_id", 400, "The path holds no task id. Ids are those that the call which created the task returned."),
    (
        "invalid_token",
        401,
        "The access token is not valid: forged, signed out, of another project, or no access token.",
    ),
    ("malformed_json", 400, "The body is not JSON. The detail names line and column."),
    ("malformed_token", 401, "The Authorization header holds no bearer token."),
    ("method_not_allowed", 405, "The call exists with another method."),
    ("missing_token", 401, "The call needs the header Authorization: Bearer <access token>."),
    ("nothing_to_run", 409, "The schedule would ask for nothing now: the detail says why. Nothing was submitted."),
    ("overloaded", 503, "More requests wait than may be held. Nothing was stored; try again after Retry-After."),
    ("pool_not_found", 404, "No queue has this name. The detail names all of them."),
    ("route_not_found", 404, "There is no such call. All calls are listed at /docs."),
    ("schedule_changed", 409, "Somebody else changed the schedule at the same moment. Look at it and try again."),
    ("schedule_not_found", 404, "No schedule of the caller has this id."),
    ("schedule_paused", 409, "An operator has paused the schedule; only an operator resumes it."),
    ("session_ended", 401, "The session of the dashboard was signed out, or goes on no longer. Sign in again."),
    (
        "sign_in_refused",
        401,
        "E-mail and password do not sign in here. Other accounts paste the access token of a session.",
    ),
    ("slow_body", 408, "The body did not arrive within 10 s."),
    ("store_unavailable", 503, "Redis or MongoDB (member store) does not answer. Try again after Retry-After."),
    ("study_not_found", 404, "No stored study of the caller has this id. It appears when its task has succeeded."),
    ("table_not_found", 404, "The study has no table of this name. The member tables of the study lists them."),
    ("task_ended", 409, "The task has ended, so there is nothing to cancel."),
    ("task_not_dead", 409, "The task is in another state (member state). Only dead tasks are discarded."),
    ("task_not_found", 404, "No task of the caller has this id."),
    (
        "task_not_replayable",
        409,
        "The task is under way, succeeded or cancelled (member state), or was discarded. Only dead and failed tasks are replayed.",
    ),
    ("task_under_way", 409, "Another task (member task_id) does the same at the moment."),
    (
        "tier_limit",
        403,
        "The caller's tier does not allow it. The member limit names what, lifted_by the tier that does.",
    ),
    (
        "timeout",
        503,
        "The answer took longer than 30 s. What was asked for may have happened; look before repeating it.",
    ),
    ("too_many_requests", 429, "The tier's requests of this minute are used up. Retry-After says when there are more."),
    (
        "too_many_sign_ins",
        429,
        "Five sign-ins a minute are tried from one address and for one e-mail. Retry-After says when there are more.",
    ),
    ("too_many_streams", 503, "Too many event streams are open. Poll the progress call, or try again."),
    (
        "unknown_symbol",
        422,
        "The exchange said within the last ten minutes that it has no such symbol. The detail says when.",
    ),
    ("unsupported_media_type", 415, "The body is not declared as application/json."),
    ("user_banned", 403, "The user may not use the service."),
    ("worker_not_found", 404, "No worker of this id lives. GET /api/admin/queues lists those that do."),
    (
        "webhook_refused",
        422,
        "The webhook's URL may not be called. The member errors says why: only public hosts by https, at most 2,048 bytes, \
         without user name and fragment.",
    ),
    (
        "webhooks_disabled",
        422,
        "This deployment sends no webhooks. Leave the field out, and watch the task's progress.",
    ),
];

/// Read what every problem code means
#[utoipa::path(
    get, path = "/problems", operation_id = "problems", tag = "operation",
    responses((status = 200, description = "A page that explains every code", body = String, content_type = "text/html"))
)]
pub async fn problems() -> Html<String> {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Candlemill: problems</title>\
         <style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}\
         dt{font-weight:600;margin-top:1rem}code{background:#eee;padding:.1em .3em;border-radius:3px}</style>\
         <h1>Problems</h1><p>Errors are RFC 9457 problem documents; <code>code</code> is stable.</p><dl>",
    );
    for (code, status, meaning) in CODES {
        let meaning = meaning.replace('<', "&lt;");
        let written = write!(page, "<dt id=\"{code}\"><code>{code}</code> {status}</dt><dd>{meaning}</dd>");
        debug_assert!(written.is_ok(), "memory takes every text");
    }
    page.push_str("</dl></html>");
    Html(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sources(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.file_name().is_some_and(|name| name != "problems.rs") {
                all.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_code_is_explained_and_every_explained_code_is_used() {
        let mut all = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        for (code, _, _) in CODES {
            assert!(all.contains(&format!("\"{code}\"")), "{code} is explained, but nothing answers it");
        }
        // `Problem::new(StatusCode::X, "code", …`: the code follows the status at once.
        for call in all.split("Problem::new(").chain(all.split("Self::new(")).skip(1) {
            let Some(rest) = call.trim_start().strip_prefix("StatusCode::") else { continue };
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_uppercase() || letter == '_');
            let rest = rest.trim_start_matches(|letter: char| letter == ',' || letter.is_whitespace());
            let Some((code, _)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) else { continue };
            assert!(CODES.iter().any(|known| known.0 == code), "{code} is answered, but not explained");
        }
    }
    #[test]
    fn the_document_of_the_api_lists_every_code_under_its_status() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/API.md");
        let document = std::fs::read_to_string(document).unwrap();
        for (code, status, _) in CODES {
            let row = document.lines().find(|line| line.starts_with(&format!("| {status} |"))).unwrap_or_default();
            assert!(row.contains(&format!("`{code}`")), "docs/API.md lacks {code} under {status}");
        }
    }
}
