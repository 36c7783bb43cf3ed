//! `warm_start`: the last snapshot in a file, so that a server that starts while the API server is away answers what it knew.
//!
//! The file is a List of Kubernetes objects, one on each line: `manifests` and `kubectl` read it, too. It is believed whole or not at
//! all: with its checksum, of the same cluster, and no older than it may be. The names in it are answered until everything was listed;
//! nothing is denied by it.

mod object;
mod task;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

pub use self::task::{keep, warm};
use crate::cluster::{Kept, Resource, Snapshot};
use crate::config::directive::WarmStart;

/// The API has no object above 1.5 MiB, and this server writes none above that.
const LINE_OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// The file that a cluster's last snapshot is kept in.
#[derive(Clone, Debug)]
pub struct WarmFile {
    config: WarmStart,
    /// What tells the cluster from others.
    cluster: String,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its first line is another.
    #[error("it was not written by warm_start")]
    Foreign,
    /// It holds what another API server said, or what other labels chose.
    #[error("it is of another cluster, or of other labels")]
    OtherCluster,
    /// It is too old.
    #[error("it was saved {0:?} ago")]
    Old(Duration),
    /// It was cut or changed.
    #[error("its checksum is wrong")]
    Checksum,
}

/// The first line, as far as it is read.
#[derive(Deserialize)]
struct Header {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    annotations: Annotations,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "landfall/cluster")]
    cluster: String,
    #[serde(rename = "landfall/saved")]
    saved: String,
}

impl WarmFile {
    /// The file for what is watched: `server` is the API server, `authorities` are its certificates, which no other cluster has, and
    /// `labels` is the selector.
    pub fn new(config: &WarmStart, server: &str, authorities: &[Vec<u8>], labels: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [server.as_bytes(), labels.as_bytes()].into_iter().chain(authorities.iter().map(Vec::as_slice)) {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self { config: config.clone(), cluster: hexadecimal(hash) }
    }

    /// Its name, for log lines.
    fn name(&self) -> std::path::Display<'_> {
        self.config.file.display()
    }

    /// What was known of these resources when the file was written, and when that was. None of them is listed in it.
    pub fn read(&self, wanted: &[Resource], kept: Kept, now: SystemTime) -> Result<(Snapshot, SystemTime), Unusable> {
        let mut file = BufReader::new(File::open(&self.config.file)?);
        let (mut hash, mut line) = (Sha256::new(), Vec::new());
        let mut next = |line: &mut Vec<u8>| {
            line.clear();
            (&mut file).take(LINE_OCTETS_MAX).read_until(b'\n', line)
        };
        next(&mut line)?;
        hash.update(&line);
        let saved = self.check(&line, now)?;
        let mut snapshot = Snapshot::default();
        while next(&mut line)? > 0 && !line.starts_with(b"]") {
            hash.update(&line);
            let change = object::read(without_comma(&line)).ok_or(Unusable::Checksum)?;
            if wanted.contains(&change.resource()) {
                snapshot.apply(change.restricted_to(kept), unix_seconds(saved));
            }
        }
        match line == trailer(hash).as_bytes() {
            true => Ok((snapshot.of_earlier(), saved)),
            false => Err(Unusable::Checksum),
        }
    }

    /// Checks the first line, and returns when the file was saved.
    fn check(&self, line: &[u8], now: SystemTime) -> Result<SystemTime, Unusable> {
        // It opens what the last line closes.
        let header: Header = serde_json::from_slice(&[line, b"]}"].concat()).map_err(|_| Unusable::Foreign)?;
        let annotations = header.metadata.annotations;
        if annotations.cluster != self.cluster {
            return Err(Unusable::OtherCluster);
        }
        let seconds: u32 = annotations.saved.parse().map_err(|_| Unusable::Foreign)?;
        let saved = UNIX_EPOCH + Duration::from_secs(seconds.into());
        // What was saved in the future was saved before the clock was set back.
        let age = now.duration_since(saved).unwrap_or_default();
        if age > self.config.max_age { Err(Unusable::Old(age)) } else { Ok(saved) }
    }

    /// Writes a snapshot beside the file, and puts it in its place once it is whole.
    pub fn write(&self, snapshot: &Snapshot, now: SystemTime) -> io::Result<()> {
        let mut beside = self.config.file.clone().into_os_string();
        beside.push(".new");
        // Who may read the names of a cluster is not for this server to say.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut out = Hashing { out: BufWriter::new(file), hash: Sha256::new() };
        let annotations = json!({"landfall/cluster": self.cluster, "landfall/saved": unix_seconds(now).to_string()});
        let metadata = json!({ "annotations": annotations });
        write!(out, r#"{{"apiVersion":"v1","kind":"List","metadata":{metadata},"items":["#)?;
        let mut end = "\n";
        for object in snapshot.objects() {
            write!(out, "{end}{}", object::write(object))?;
            end = ",\n";
        }
        writeln!(out)?;
        let Hashing { mut out, hash } = out;
        out.write_all(trailer(hash).as_bytes())?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&beside, &self.config.file)
    }
}

/// An object without what stands between it and the next.
fn without_comma(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_end();
    line.strip_suffix(b",").unwrap_or(line)
}

/// What closes the list.
fn trailer(hash: Sha256) -> String {
    format!("],\"landfall/sha256\":\"{}\"}}\n", hexadecimal(hash))
}

fn hexadecimal(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}

fn unix_seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// Hashes what is written.
struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.out.write(octets)?;
        self.hash.update(octets.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::manifests::Manifests;

    const HOUR: Duration = Duration::from_secs(3600);

    fn file(folder: &tempfile::TempDir, server: &str, authority: &[u8], labels: &str) -> WarmFile {
        let config = WarmStart { file: folder.path().join("cluster.json"), max_age: HOUR };
        WarmFile::new(&config, server, &[authority.to_vec()], labels)
    }

    fn cluster() -> Snapshot {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/cluster");
        let mut snapshot = Snapshot::default();
        Manifests::read(folder.as_ref(), None).expect("manifests").apply(&mut snapshot, 1);
        snapshot
    }

    fn texts(snapshot: &Snapshot) -> Vec<String> {
        let mut texts: Vec<String> = snapshot.objects().map(|object| format!("{object:?}")).collect();
        texts.sort_unstable();
        texts
    }

    #[test]
    fn what_was_written_is_read_but_nothing_of_it_is_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, now) = (file(&folder, "a", b"b", "c"), SystemTime::now());
        let cluster = cluster();
        file.write(&cluster, now).expect("a file");
        let (read, saved) = file.read(&Resource::ALL, Kept::ALL, now).expect("a snapshot");
        let (read_texts, texts) = (texts(&read), texts(&cluster));
        assert!(texts.len() > 100);
        let difference = texts.iter().zip(&read_texts).find(|(written, read)| written != read);
        assert_eq!((difference, read_texts.len()), (None, texts.len()));
        assert_eq!(unix_seconds(saved), unix_seconds(now));
        assert!(Resource::ALL.into_iter().all(|resource| !read.is_synced(resource)));
        let (services, _) = file.read(&[Resource::Services], Kept::ALL, now).expect("a snapshot");
        assert!(services.count(Resource::Services) > 0 && services.count(Resource::EndpointSlices) == 0);
        assert!(!folder.path().join("cluster.json.new").exists());
    }

    #[test]
    fn a_file_is_of_one_cluster_and_of_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = SystemTime::now();
        let read = |server: &str, authority: &[u8], labels: &str, now: SystemTime| {
            file(&folder, server, authority, labels).read(&Resource::ALL, Kept::ALL, now).map(drop)
        };
        assert!(matches!(read("a", b"b", "c", now), Err(Unusable::Io(_))));
        file(&folder, "a", b"b", "c").write(&Snapshot::default(), now).expect("a file");
        for other in
            [read("x", b"b", "c", now), read("a", b"x", "c", now), read("a", b"b", "x", now), read("ab", b"", "c", now)]
        {
            assert!(matches!(other, Err(Unusable::OtherCluster)), "{other:?}");
        }
        assert!(matches!(read("a", b"b", "c", now + 2 * HOUR), Err(Unusable::Old(_))));
        assert!(read("a", b"b", "c", now + HOUR / 2).is_ok());
        assert!(read("a", b"b", "c", now - 2 * HOUR).is_ok());
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_of_no_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, now) = (file(&folder, "a", b"b", "c"), SystemTime::now());
        file.write(&cluster(), now).expect("a file");
        let path = folder.path().join("cluster.json");
        let written = std::fs::read(&path).expect("a file");
        let read = |octets: &[u8]| {
            std::fs::write(&path, octets).expect("a file");
            file.read(&Resource::ALL, Kept::ALL, now).map(drop)
        };
        for length in (0..written.len()).step_by(written.len() / 20) {
            assert!(read(&written[..length]).is_err(), "{length} octets");
        }
        for place in (0..written.len()).step_by(written.len() / 20) {
            let mut changed = written.clone();
            changed[place] ^= 1;
            assert!(read(&changed).is_err(), "octet {place}");
        }
        assert!(read(&written).is_ok());
    }
}
