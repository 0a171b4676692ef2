//! Sign-in of the dashboard's pages.

use crate::service::{Answer, PUBLIC_URL, Service};
use candlemill_simulator::UserChange;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const PRO: &str = "pro@candlemill.test";
const PASSWORD: &str = "candlemill";
const TOKEN_CALL: &str = "/auth/v1/token";

fn of_page(service: &Service, method: Method, path: &str, body: &Value) -> RequestBuilder {
    service.request(method, path).header("Origin", format!("http://{}", service.addr())).json(body)
}

async fn sign_in(service: &Service, email: &str, password: &str) -> Answer {
    service.send(of_page(service, Method::POST, "/api/session", &json!({"email": email, "password": password}))).await
}

/// The pair of the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

async fn refresh(service: &Service, cookie: &str) -> Answer {
    service.send(of_page(service, Method::POST, "/api/session/refresh", &json!({})).header("Cookie", cookie)).await
}

fn token(answer: &Answer) -> String {
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_from_its_sign_in_to_its_end() {
    let service = Service::start().await;
    let signed_in = sign_in(&service, PRO, PASSWORD).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text);
    let kept = signed_in.header("set-cookie").to_owned();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/api/session"] {
        assert!(kept.contains(part), "{part} of {kept}");
    }
    assert!(!kept.contains("Secure"), "on a loopback address: {kept}");
    assert_eq!(signed_in.header("cache-control"), "no-store");
    assert_eq!(signed_in.json().as_object().unwrap().len(), 2, "no refresh token in the body: {}", signed_in.text);
    assert_eq!(service.knock(&token(&signed_in)).await.code(), (400, "invalid_request".to_owned()));

    let renewed = refresh(&service, &cookie(&signed_in)).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text);
    assert_ne!(cookie(&renewed), cookie(&signed_in), "refresh tokens are good for one use");

    let access = token(&renewed);
    assert_eq!(service.knock(&access).await.status, 400);
    let out = of_page(&service, Method::DELETE, "/api/session", &json!({})).bearer_auth(&access);
    let out = service.send(out.header("Cookie", cookie(&renewed))).await;
    assert_eq!(out.status, 204);
    assert!(
        out.header("set-cookie").contains("candlemill_refresh=; ") && out.header("set-cookie").contains("Max-Age=0")
    );
    assert_eq!(service.knock(&access).await.code(), (401, "invalid_token".to_owned()), "the token is forgotten here");
    let ended = refresh(&service, &cookie(&renewed)).await;
    assert_eq!(ended.code(), (401, "session_ended".to_owned()));
    assert!(ended.header("set-cookie").contains("Max-Age=0"), "the browser forgets it as well");
}

#[tokio::test]
async fn a_session_is_signed_out_without_a_good_access_token_as_well() {
    let service = Service::start().await;
    let signed_in = sign_in(&service, PRO, PASSWORD).await;
    let out = of_page(&service, Method::DELETE, "/api/session", &json!({})).header("Cookie", cookie(&signed_in));
    assert_eq!(service.send(out).await.status, 204);
    assert_eq!(service.knock(&token(&signed_in)).await.code(), (401, "invalid_token".to_owned()));
}

#[tokio::test]
async fn nobody_signed_in_is_no_error() {
    let service = Service::start().await;
    for cookie in ["", "other=1", "candlemill_refresh="] {
        assert_eq!(refresh(&service, cookie).await.status, 204, "{cookie}");
    }
    assert_eq!(refresh(&service, "candlemill_refresh=unknown").await.code(), (401, "session_ended".to_owned()));
}

#[tokio::test]
async fn many_tabs_that_renew_at_once_stay_signed_in() {
    let service = Service::start().await;
    let signed_in = sign_in(&service, PRO, PASSWORD).await;
    let cookie_of_all = cookie(&signed_in);
    service.supabase.reset_counters();
    let all = futures::future::join_all((0..7).map(|_| refresh(&service, &cookie_of_all))).await;
    assert!(all.iter().all(|answer| answer.status == 200));
    assert!(all.iter().all(|answer| cookie(answer) == cookie(&all[0])), "all have the same next one");
    assert_eq!(service.supabase.counters().calls_to(TOKEN_CALL), 1);
}

#[tokio::test]
async fn other_pages_and_programs_are_refused() {
    let service = Service::start_with([("CORS_ALLOWED_ORIGINS", "https://app.example.com")]).await;
    let own = format!("http://{}", service.addr());
    let body = json!({"email": PRO, "password": PASSWORD});
    let other_port = own.replace("127.0.0.1", "localhost");
    for origin in
        [None, Some("null"), Some("https://app.example.com"), Some("https://evil.example"), Some(&*other_port)]
    {
        for (method, path) in
            [(Method::POST, "/api/session"), (Method::POST, "/api/session/refresh"), (Method::DELETE, "/api/session")]
        {
            let request = service.request(method.clone(), path).json(&body);
            let request = match origin {
                Some(origin) => request.header("Origin", origin),
                None => request,
            };
            let answer = service.send(request).await;
            assert_eq!(answer.code(), (403, "foreign_page".to_owned()), "{method} {path} from {origin:?}");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {path} from {origin:?}");
            assert_eq!(answer.header("set-cookie"), "");
        }
    }
    // A form of another site can send text, but no JSON.
    let form =
        service.request(Method::POST, "/api/session").header("Origin", &own).header("Content-Type", "text/plain");
    assert_eq!(service.send(form.body(body.to_string())).await.code(), (415, "unsupported_media_type".to_owned()));
    let public = service.request(Method::POST, "/api/session").header("Origin", PUBLIC_URL).json(&body);
    let answer = service.send(public).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("set-cookie").ends_with("; Secure"), "{}", answer.header("set-cookie"));
}

#[tokio::test]
async fn one_answer_for_every_failure() {
    let service = Service::start().await;
    let banned = UserChange { banned: Some(true), ..UserChange::default() };
    service.supabase.change_user("free@candlemill.test", &banned).unwrap();
    let mut told = Vec::new();
    for (email, password) in [(PRO, "wrong"), ("nobody@candlemill.test", PASSWORD), ("free@candlemill.test", PASSWORD)]
    {
        let answer = sign_in(&service, email, password).await;
        assert_eq!(answer.code(), (401, "sign_in_refused".to_owned()), "{email}");
        assert!(!answer.text.contains(email) && answer.header("set-cookie").is_empty(), "{}", answer.text);
        let mut body = answer.json();
        body["trace_id"] = Value::Null;
        told.push(body);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
}

/// Redis is away here: passwords cannot be tried without end all the same.
#[tokio::test]
async fn five_tries_a_minute() {
    let service = Service::start().await;
    service.supabase.reset_counters();
    for number in 1..=7 {
        let answer = sign_in(&service, &format!("user{number}@candlemill.test"), "wrong").await;
        let expected = if number <= 5 { (401, "sign_in_refused") } else { (429, "too_many_sign_ins") };
        assert_eq!(answer.code(), (expected.0, expected.1.to_owned()), "try {number}");
    }
    assert_eq!(service.supabase.counters().calls_to(TOKEN_CALL), 5, "Supabase is spared the rest");
}
