//! Has the program built again when the dashboard was: what it embeds is chosen when it is compiled.

#[expect(clippy::print_stdout, reason = "that is how a build script speaks")]
fn main() {
    println!("cargo::rerun-if-changed=../dashboard/dist");
}
