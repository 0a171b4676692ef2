//! Has the program built again when the dashboard was: what a release embeds is chosen when it is compiled. Debug builds read the files
//! when they are asked for.

#[expect(clippy::disallowed_methods, reason = "a build script has no configuration but its environment")]
fn main() {
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo::rerun-if-changed={}", if is_release { "../dashboard/dist" } else { "build.rs" });
}
