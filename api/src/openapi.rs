//! The OpenAPI document: what the handlers say of themselves, and what holds for all of a kind.

use crate::problems::CODES;
use crate::routes;
use candlemill_shared::forms::ProblemDocument;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response, ResponseBuilder, Tag,
};
use utoipa::{PartialSchema, ToSchema};

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callers {
    Users,
    Operators,
    Anybody,
}

/// Groups of calls, in the order in which the page shows them: what users need first.
const TAGS: [(&str, &str); 10] = [
    ("backfills", "Submit work: fetch candles, compare them with the exchange's."),
    ("tasks", "Watch and cancel what was submitted."),
    ("seasonality", "Study calendar effects and trading rules over stored candles, with a verdict on each."),
    ("schedules", "Have work submitted by the clock: each fire exactly once."),
    ("market data", "Read what is stored, and what is known of it."),
    ("dead letters", "Tasks that were given up: look, replay, discard."),
    ("webhooks", "Be told of the end of a task."),
    ("operators", "Queues and workers. These calls take the operators' token, `ADMIN_TOKEN`."),
    ("dashboard", "Sign-in of this service's own pages; programs sign in at Supabase."),
    ("operation", "Health, metrics and explanations, without a token."),
];

const DESCRIPTION: &str = "Market-data jobs: submit backfills, watch them, read candles.\n\n\
    Press **Authorize** and paste a token: `bearer` takes the access token of a Supabase session (of a local `./dev run`: the one \
    that it prints), `admin` takes `ADMIN_TOKEN` for the operators' calls.\n\n\
    Errors are RFC 9457 problem documents with a stable `code`; [/problems](/problems) explains every one. Times are RFC 3339; requests \
    may give UTC milliseconds as well.";

/// The whole document.
pub fn document() -> OpenApi {
    let mut document = OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Candlemill").version(env!("CARGO_PKG_VERSION")).description(Some(DESCRIPTION)))
        .tags(Some(TAGS.map(|(name, text)| {
            let mut tag = Tag::new(name);
            tag.description = Some(text.to_owned());
            tag
        })))
        .components(Some(components()))
        .build();
    let groups = [
        (Callers::Users, routes::users()),
        (Callers::Operators, routes::operators()),
        (Callers::Anybody, routes::pages()),
        (Callers::Anybody, routes::open()),
    ];
    for (callers, group) in groups {
        let mut group = group.into_openapi();
        for item in group.paths.paths.values_mut() {
            for operation in operations(item) {
                complete(operation, callers);
            }
        }
        document.merge(group);
    }
    name_forms(&mut document, "Study");
    name_forms(&mut document, "Template");
    document
}

/// Puts the member that names a variant of the schema `of` among the others of its form. As they are derived, the form stands beside the
/// name and refuses it as a member that does not exist: nothing would fit. Variants of the same form are one, of either name.
fn name_forms(document: &mut OpenApi, of: &str) {
    let Some(schemas) = document.components.as_mut().map(|components| &mut components.schemas) else { return };
    let Some(RefOr::T(Schema::OneOf(variants))) = schemas.get_mut(of) else { return };
    let mut names: Vec<(String, Object)> = Vec::new();
    variants.items.retain_mut(|item| {
        let RefOr::T(Schema::AllOf(parts)) = &*item else { return true };
        let [RefOr::Ref(form), RefOr::T(Schema::Object(name))] = parts.items.as_slice() else { return true };
        let is_first = names.iter().all(|(known, _)| *known != form.ref_location);
        names.push((form.ref_location.clone(), name.clone()));
        *item = RefOr::Ref(form.clone());
        is_first
    });
    for (form, name) in names {
        let form = form.rsplit('/').next().unwrap_or_default();
        let Some(RefOr::T(Schema::Object(form))) = schemas.get_mut(form) else { continue };
        for (member, named) in name.properties {
            match (form.properties.get_mut(&member), named) {
                (Some(RefOr::T(Schema::Object(known))), RefOr::T(Schema::Object(more))) => {
                    known.enum_values.get_or_insert_default().extend(more.enum_values.unwrap_or_default());
                }
                (_, named) => drop(form.properties.insert(member.clone(), named)),
            }
            if !form.required.contains(&member) {
                form.required.push(member);
            }
        }
    }
}

fn components() -> utoipa::openapi::Components {
    let mut schemas = vec![(ProblemDocument::name().into_owned(), problem_schema())];
    ProblemDocument::schemas(&mut schemas);
    let bearer = |text: &str| {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(text.to_owned());
        SecurityScheme::Http(scheme)
    };
    schemas
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema))
        .security_scheme("bearer", bearer("Access token of a Supabase session, without the word Bearer."))
        .security_scheme("admin", bearer("The operators' token: ADMIN_TOKEN of the API, without the word Bearer."))
        .build()
}

/// The form of problems, with all codes that there are.
fn problem_schema() -> RefOr<Schema> {
    let mut schema = ProblemDocument::schema();
    if let RefOr::T(Schema::AllOf(all)) = &mut schema {
        for part in &mut all.items {
            list_codes(part);
        }
    } else {
        list_codes(&mut schema);
    }
    schema
}

fn list_codes(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && object.properties.contains_key("code")
    {
        let codes = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Stable name of the error, for programs."))
            .enum_values(Some(CODES.iter().map(|known| known.0)));
        object.properties.insert("code".to_owned(), codes.into());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// Whether this is a reference to the schema `name`.
fn refers_to(schema: Option<&RefOr<Schema>>, name: &str) -> bool {
    matches!(schema, Some(RefOr::Ref(target)) if target.ref_location.ends_with(&format!("/{name}")))
}

/// Adds the answers that every such call may give, and the headers of all.
fn complete(operation: &mut Operation, callers: Callers) {
    let has_body = operation.request_body.is_some();
    let parameters: Vec<&Parameter> = operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|one| if let RefOr::T(parameter) = one { Some(parameter) } else { None })
        .collect();
    let read_here = parameters.iter().any(|one| !matches!(one.parameter_in, ParameterIn::Path));
    let of_task = parameters.iter().any(|one| one.name == "id" && refers_to(one.schema.as_ref(), "TaskId"));
    let mut common: Vec<(u16, String)> = Vec::new();
    let mut add = |status: u16, codes: &str| common.push((status, codes.to_owned()));
    if has_body {
        add(400, "`invalid_request`: every member that is wrong; `malformed_json`");
        add(408, "`slow_body`");
        add(413, "`body_too_large`");
        add(415, "`unsupported_media_type`");
    } else if read_here {
        add(400, "`invalid_request`: every parameter that is wrong");
    }
    if of_task {
        add(400, "`invalid_task_id`");
    }
    if parameters.iter().any(|one| one.name == "id" && refers_to(one.schema.as_ref(), "ScheduleId")) {
        add(400, "`invalid_schedule_id`");
    }
    match callers {
        Callers::Users => {
            add(401, "`missing_token`, `malformed_token`, `invalid_token`, `expired_token`");
            add(403, "`user_banned`");
            add(429, "`too_many_requests`");
            add(503, "`store_unavailable`, `overloaded`, `timeout`, `auth_unavailable`, `auth_misconfigured`");
        }
        Callers::Operators => {
            add(401, "`missing_token`, `invalid_admin_token`");
            add(403, "`admin_disabled`");
            add(429, "`too_many_requests`");
            add(503, "`store_unavailable`, `overloaded`, `timeout`");
        }
        Callers::Anybody => {}
    }
    if callers != Callers::Anybody {
        add(500, "`internal_error`");
    }
    for (status, codes) in common {
        let answer = operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert_with(|| RefOr::T(ResponseBuilder::new().build()));
        if let RefOr::T(answer) = answer {
            answer.description =
                if answer.description.is_empty() { codes } else { format!("{}; {codes}", answer.description) };
        }
    }
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer {
            describe(status, answer, callers);
        }
    }
}

/// The form of a problem, and the headers of an answer with this status.
fn describe(status: &str, answer: &mut Response, callers: Callers) {
    let refused = status.starts_with(['4', '5']);
    if refused && answer.content.is_empty() {
        let problem = Content::new(Some(Ref::from_schema_name(ProblemDocument::name())));
        answer.content.insert("application/problem+json".to_owned(), problem.into());
    }
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let number = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let mut header = |name: &str, schema: ObjectBuilder, told: &str| {
        let mut header = Header::new(schema);
        header.description = Some(told.to_owned());
        answer.headers.insert(name.to_owned(), header.into());
    };
    header(
        "X-Trace-Id",
        text().pattern(Some("^[0-9a-f]{32}$")),
        "Trace of the request, as it stands in the log and on the task",
    );
    if callers != Callers::Anybody && status != "401" {
        const COUNTED: &str = "absent where the request was not counted, as while Redis is away";
        header("RateLimit-Limit", number(), &format!("Requests per minute; {COUNTED}"));
        header("RateLimit-Remaining", number(), &format!("Requests left in this minute; {COUNTED}"));
        header("RateLimit-Reset", number(), &format!("Seconds to the next minute; {COUNTED}"));
        header("RateLimit-Policy", text(), &format!("As in `120;w=60`; {COUNTED}"));
    }
    if callers != Callers::Anybody && matches!(status, "429" | "503") {
        header("Retry-After", number(), "Seconds to wait");
    }
    if status == "401" {
        header("WWW-Authenticate", text(), "What is expected: a bearer token");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::HashSet;

    fn operations_of(document: &Value) -> Vec<(String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let of = |(path, item): (&String, &Value)| {
            let item = item.as_object().unwrap().clone();
            item.into_iter().map(|(method, operation)| (format!("{method} {path}"), operation)).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn every_call_has_a_name_of_its_own_and_described_answers() {
        let document = serde_json::to_value(document()).unwrap();
        let mut names = HashSet::new();
        for (call, operation) in operations_of(&document) {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is the name of two calls");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{call} has no summary");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(!answer["description"].as_str().unwrap_or_default().is_empty(), "{call} {status}");
                assert!(answer["headers"]["X-Trace-Id"].is_object(), "{call} {status}");
            }
        }
    }

    #[test]
    fn a_study_fits_its_form() {
        let document = serde_json::to_value(document()).unwrap();
        let forms = document["components"]["schemas"]["Study"]["oneOf"].as_array().unwrap();
        let named: Vec<&Value> = forms
            .iter()
            .map(|form| {
                let form = document.pointer(form["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
                assert_eq!((&form["additionalProperties"], &form["required"]), (&false.into(), &vec!["study"].into()));
                &form["properties"]["study"]["enum"][0]
            })
            .collect();
        assert_eq!(named, ["calendar", "sma_crossover", "mean_reversion"]);
    }

    #[test]
    fn a_template_fits_its_form() {
        let document = serde_json::to_value(document()).unwrap();
        let forms = document["components"]["schemas"]["Template"]["oneOf"].as_array().unwrap();
        let named: Vec<&Value> = forms
            .iter()
            .map(|form| {
                let form = document.pointer(form["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
                assert!(form["required"].as_array().unwrap().contains(&"kind".into()), "{form}");
                &form["properties"]["kind"]["enum"]
            })
            .collect();
        assert_eq!(
            named,
            [&serde_json::json!(["fetch", "verify"]), &serde_json::json!(["batch"]), &serde_json::json!(["study"])]
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, all: &mut HashSet<String>) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(target)) = members.get("$ref") {
                        all.insert(target.clone());
                    }
                    members.values().for_each(|member| references(member, all));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, all)),
                _ => {}
            }
        }
        let document = serde_json::to_value(document()).unwrap();
        let mut all = HashSet::new();
        references(&document, &mut all);
        for target in all {
            let found = document.pointer(target.trim_start_matches('#'));
            assert!(found.is_some(), "{target} is not there");
        }
    }
}
