use super::*;

#[test]
fn patterns_are_stored_as_they_were_written() {
    let pattern: CronPattern = serde_json::from_str("\" 30 2 * * mon-FRI \"").unwrap();
    assert_eq!(serde_json::to_string(&pattern).unwrap(), "\"30 2 * * mon-FRI\"");
    assert_eq!(pattern.clone(), pattern);
}
