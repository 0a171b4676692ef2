//! `GET /rest/v1/subscriptions`.

use crate::harness::Fixture;
use candlemill_simulator::{SimulatorConfig, TokenSpec, UserChange};
use serde_json::json;

const OBJECT: (&str, &str) = ("accept", "application/vnd.pgrst.object+json");

#[tokio::test]
async fn rows_and_errors() {
    let fixture = Fixture::start(SimulatorConfig::default()).await;
    let pro = fixture.control.user("pro@candlemill.test").unwrap().id;
    let none = UserChange { subscription: Some(None), ..UserChange::default() };
    let free = fixture.control.change_user("free@candlemill.test", &none).unwrap().id;
    let secret = ("apikey", fixture.simulator.secret_key());
    let check = async |name: &str, query: &str, headers: &[(&str, &str)], expected: (u16, serde_json::Value)| {
        let reply = fixture.call("GET", &format!("/rest/v1/{query}"), headers, "").await;
        let body = reply.json();
        let shown = if reply.status == 200 { body } else { body["code"].clone() };
        assert_eq!((reply.status, shown), expected, "{name}: {}", reply.text);
    };
    let of = |id: &str| format!("subscriptions?select=tier&user_id=eq.{id}&limit=1");
    check("a row", &of(&pro), &[secret], (200, json!([{ "tier": "pro" }]))).await;
    check("no row", &of(&free), &[secret], (200, json!([]))).await;
    check("one object", &of(&pro), &[secret, OBJECT], (200, json!({ "tier": "pro" }))).await;
    check("no object", &of(&free), &[secret, OBJECT], (406, json!("PGRST116"))).await;
    let all = format!("subscriptions?user_id=eq.{pro}");
    check("every column", &all, &[secret], (200, json!([{ "user_id": pro, "tier": "pro" }]))).await;
    check("unknown column", "subscriptions?select=plan", &[secret], (400, json!("42703"))).await;
    check("no UUID", &of("42"), &[secret], (400, json!("22P02"))).await;
    check("odd filter", "subscriptions?user_id=42", &[secret], (400, json!("PGRST100"))).await;
    check("unknown table", "plans", &[secret], (404, json!("PGRST205"))).await;

    let publishable = ("apikey", fixture.simulator.publishable_key());
    check("row-level security hides", &of(&pro), &[publishable], (200, json!([]))).await;
    let bearer = |spec: TokenSpec| format!("Bearer {}", fixture.control.mint(&spec).unwrap());
    let own = bearer(TokenSpec::default());
    check("one's own row", &of(&pro), &[publishable, ("authorization", &own)], (200, json!([{ "tier": "pro" }]))).await;
    let other = bearer(TokenSpec::of("free@candlemill.test"));
    check("another's row", &of(&pro), &[publishable, ("authorization", &other)], (200, json!([]))).await;
    let expired = bearer(TokenSpec::default().expires_in(-1));
    check("expired", &of(&pro), &[publishable, ("authorization", &expired)], (401, json!("PGRST303"))).await;
    check("no token", &of(&pro), &[publishable, ("authorization", "Bearer x")], (401, json!("PGRST301"))).await;
    let service = fixture.simulator.service_role_key();
    let legacy = format!("Bearer {service}");
    let headers = [("apikey", service), ("authorization", legacy.as_str())];
    check("legacy key in both headers", &of(&pro), &headers, (200, json!([{ "tier": "pro" }]))).await;
    let no_key = fixture.get(&format!("/rest/v1/{}", of(&pro))).await;
    assert_eq!((no_key.status, &no_key.json()["message"]), (401, &json!("No API key found in request")));
}

#[tokio::test]
async fn the_three_places_of_a_tier_are_apart() {
    let fixture = Fixture::start(SimulatorConfig::default()).await;
    let tier = |tier: &str| Some(Some(tier.to_owned()));
    let change = UserChange {
        tier: tier("pro"),
        subscription: tier("enterprise"),
        claimed_tier: tier("admin"),
        ..UserChange::default()
    };
    let email = "new@candlemill.test";
    let user = fixture.control.change_user(email, &change).unwrap();
    assert_eq!((user.tier.as_deref(), user.subscription.as_deref()), (Some("pro"), Some("enterprise")));
    let token = fixture.control.mint(&TokenSpec::of(email)).unwrap();
    fixture.control.change_user(email, &UserChange { tier: Some(None), ..UserChange::default() });
    let shown = fixture.with_key("GET", "/auth/v1/user", Some(&token), "").await.json();
    assert!(shown["app_metadata"].get("tier").is_none(), "fresh");
    assert_eq!(shown["user_metadata"]["tier"], "admin");
    let claims: serde_json::Value = jsonwebtoken::dangerous::insecure_decode_claims(&token).unwrap();
    assert_eq!(claims["app_metadata"]["tier"], "pro", "as of issue");
}
