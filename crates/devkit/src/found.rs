//! Where the server programs are: told by `./dev`, on the `PATH`, or in the cache that `./dev` fills.

use crate::child::on_path;
use anyhow::{Result, anyhow};
use candlemill_shared::env::{Env, Variable};
use std::path::{Path, PathBuf};

static REDIS_SERVER: Variable =
    Variable { name: "CANDLEMILL_REDIS_SERVER", default: "", help: "path of a redis-server program" };
static MONGO_SERVER: Variable =
    Variable { name: "CANDLEMILL_MONGO_SERVER", default: "", help: "path of a mongod or secantusd-rs program" };
static XDG_CACHE_HOME: Variable = Variable { name: "XDG_CACHE_HOME", default: "", help: "folder of caches" };
static HOME: Variable = Variable { name: "HOME", default: "", help: "the user's folder" };

/// Which program speaks the MongoDB wire protocol here; their flags differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MongoKind {
    /// MongoDB's own server.
    Mongod,
    /// The stand-in for machines that have no MongoDB package.
    Secantus,
}

/// The Redis server program.
///
/// # Errors
/// When there is none; the message says how to get one.
pub fn redis_server() -> Result<PathBuf> {
    told(&REDIS_SERVER).or_else(|| on_path("redis-server")).ok_or_else(|| {
        anyhow!("no redis-server found; `./dev test` or `./dev run` installs one, or apt-get install redis-server")
    })
}

/// The MongoDB-wire server program and its kind.
///
/// # Errors
/// When there is none; the message says how to get one.
pub fn mongo_server() -> Result<(PathBuf, MongoKind)> {
    let program = told(&MONGO_SERVER).or_else(|| on_path("mongod")).or_else(cached).ok_or_else(|| {
        anyhow!("no MongoDB-wire server found; `./dev test` or `./dev run` installs one, or put a mongod on the PATH")
    })?;
    let kind = kind_of(&program);
    Ok((program, kind))
}

fn kind_of(program: &Path) -> MongoKind {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("secantusd") { MongoKind::Secantus } else { MongoKind::Mongod }
}

fn told(variable: &Variable) -> Option<PathBuf> {
    Env::from_process().text(variable).map(PathBuf::from)
}

/// What `./dev` built earlier; the highest version by name where there are several.
fn cached() -> Option<PathBuf> {
    let env = Env::from_process();
    let caches = env.text(&XDG_CACHE_HOME).map(PathBuf::from);
    let caches = caches.or_else(|| env.text(&HOME).map(|home| Path::new(home).join(".cache")))?.join("candlemill");
    let mut programs: Vec<_> = std::fs::read_dir(caches)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("secantus-mdb-")))
        .map(|folder| folder.join("bin/secantusd-rs"))
        .filter(|program| program.is_file())
        .collect();
    programs.sort();
    programs.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_told_by_the_name() {
        assert_eq!(kind_of(Path::new("/opt/mongo/bin/mongod")), MongoKind::Mongod);
        assert_eq!(kind_of(Path::new("/cache/secantus-mdb-1/bin/secantusd-rs")), MongoKind::Secantus);
    }
}
