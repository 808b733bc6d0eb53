//! Access traces: decoding, expanding, cutting.
//!
//! Three formats are known, told apart by name and content: ARC text (`*.lis`), where a line
//! `first count ignored ignored` stands for `count` consecutive keys; big-endian 32-bit keys; and
//! one decimal key a line. A fourth, any line as a key, is for a user's own trace. A file may be
//! compressed with gzip, xz or zstd. A trace is expanded first and cut afterwards.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Published hit ratios of these traces stand on at most so many accesses.
pub(crate) const MOST_ACCESSES: usize = 1_000_000;

/// A cache smaller than this is all rounding, whatever the trace.
const LEAST_CAPACITY: usize = 50;

/// The shares of the distinct keys at which hit ratios of these traces are published.
const CAPACITY_SHARES: [f64; 3] = [0.01, 0.05, 0.20];

/// A trace that could not be read; one line, with the file's name.
#[derive(Debug)]
pub(crate) struct Error {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read trace {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for Error {}

/// A decoded trace, cut to [`MOST_ACCESSES`].
#[derive(Debug)]
pub(crate) struct Trace {
    /// The file's name up to its first dot.
    pub(crate) name: String,
    /// The keys, in order.
    pub(crate) keys: Vec<u64>,
    /// Distinct keys among them.
    pub(crate) distinct: usize,
    /// Accesses and distinct keys of the whole file.
    pub(crate) in_file: (usize, usize),
}

impl Trace {
    /// The capacities at which the trace is measured, without repetition.
    pub(crate) fn capacities(&self) -> Vec<usize> {
        let share = |share: f64| ((self.distinct as f64 * share) as usize).max(LEAST_CAPACITY);
        let mut capacities = CAPACITY_SHARES.map(share).to_vec();
        capacities.dedup();
        capacities
    }

    fn new(path: &Path, mut keys: Vec<u64>) -> Self {
        let in_file = (keys.len(), distinct(&keys));
        let cut = keys.len() > MOST_ACCESSES;
        keys.truncate(MOST_ACCESSES);
        let distinct = if cut { distinct(&keys) } else { in_file.1 };
        Self { name: bare_name(path), keys, distinct, in_file }
    }
}

/// The traces of a directory, by name; files of other kinds are passed over.
///
/// # Errors
/// When the directory or one of its traces cannot be read, or when it holds none.
pub(crate) fn read_directory(directory: &Path) -> Result<Vec<Trace>, Error> {
    let at = |source| Error { path: directory.into(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if is_trace(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(at(io::Error::new(io::ErrorKind::NotFound, "no trace file in it")));
    }
    paths.sort();
    paths.iter().map(|path| read(path, parse)).collect()
}

/// A trace of a user's own: every line is a key.
///
/// # Errors
/// When the file cannot be read or holds no access.
pub(crate) fn read_lines(path: &Path) -> Result<Trace, Error> {
    read(path, |_, bytes| Ok(intern_lines(bytes)))
}

fn read(path: &Path, parse: impl Fn(&Path, &[u8]) -> io::Result<Vec<u64>>) -> Result<Trace, Error> {
    let keys = decompress(path).and_then(|bytes| parse(path, &bytes));
    let keys = keys.and_then(|keys| if keys.is_empty() { Err(invalid("no access in it")) } else { Ok(keys) });
    let trace = Trace::new(path, keys.map_err(|source| Error { path: path.into(), source })?);
    let (accesses, distinct) = trace.in_file;
    eprintln!(
        "{}: {accesses} accesses, {distinct} distinct; used {}, {} distinct",
        trace.name,
        trace.keys.len(),
        trace.distinct
    );
    Ok(trace)
}

fn is_trace(path: &Path) -> bool {
    let known = ["gz", "xz", "zst", "lis", "trace"];
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.is_file() && extension.is_some_and(|extension| known.contains(&extension))
}

fn bare_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().into()
}

fn decompress(path: &Path) -> io::Result<Vec<u8>> {
    let file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes)?,
        Some("xz") => lzma_rust2::XzReader::new(file, true).read_to_end(&mut bytes)?,
        Some("zst") => {
            ruzstd::decoding::StreamingDecoder::new(file).map_err(io::Error::other)?.read_to_end(&mut bytes)?
        }
        _ => { file }.read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> io::Result<Vec<u64>> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Digits and line ends alone are text; 32-bit keys hold other bytes within the first few.
    let text = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'\r' | b'\n');
    if name.contains(".lis") {
        parse_arc(bytes)
    } else if bytes.iter().all(text) {
        parse_decimal(bytes)
    } else {
        parse_u32(bytes)
    }
}

fn parse_arc(bytes: &[u8]) -> io::Result<Vec<u64>> {
    let mut keys = Vec::new();
    for line in text(bytes)?.lines() {
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else {
            return Err(invalid(&format!("'{line}' is not a line of an ARC trace")));
        };
        keys.extend(first..first + count);
    }
    Ok(keys)
}

fn parse_u32(bytes: &[u8]) -> io::Result<Vec<u64>> {
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(invalid("neither decimal lines nor whole 32-bit keys"));
    }
    Ok(words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).collect())
}

fn parse_decimal(bytes: &[u8]) -> io::Result<Vec<u64>> {
    let lines = text(bytes)?.lines().filter(|line| !line.is_empty());
    let key = |line: &str| line.parse().map_err(|_| invalid(&format!("'{line}' is not a key")));
    lines.map(key).collect()
}

/// Numbers the distinct lines in order of their first use.
fn intern_lines(bytes: &[u8]) -> Vec<u64> {
    let mut numbers: HashMap<&[u8], u64, foldhash::quality::RandomState> = HashMap::default();
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut number = |line| {
        let next = numbers.len() as u64;
        *numbers.entry(line).or_insert(next)
    };
    lines.filter(|line| !line.is_empty()).map(&mut number).collect()
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| invalid("not text"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn distinct(keys: &[u64]) -> usize {
    keys.iter().collect::<HashSet<_, foldhash::quality::RandomState>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Writes a file of this name, reads it as part of a directory, returns its keys.
    fn check_file(name: &str, bytes: &[u8], expected: &[u64]) {
        let directory = std::env::temp_dir().join(format!("tierce-bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(name), bytes).unwrap();
        std::fs::write(directory.join("README.md"), "no trace").unwrap();
        let traces = read_directory(&directory).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(traces.len(), 1);
        assert_eq!(traces[0].keys, expected, "{name}");
        assert_eq!(traces[0].name, name.split('.').next().unwrap());
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_format_is_decoded() {
        check_file("a.lis", b"10 3 0 0\n7 1 0 1\n", &[10, 11, 12, 7]);
        check_file("b.trace", &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], &[1, u64::from(u32::MAX)]);
        check_file("c.trace", b"5\r\n6\r\n5\r\n", &[5, 6, 5]);
        check_file("d.trace.gz", &gzip(b"5\n6\n"), &[5, 6]);
        let zstd =
            ruzstd::encoding::compress_to_vec(&b"1 2 0 0\n"[..], ruzstd::encoding::CompressionLevel::Uncompressed);
        check_file("e.lis.zst", &zstd, &[1, 2]);
        // printf '\0\0\0\1\0\0\0\2' | xz --check=crc32
        check_file("f.trace.xz", XZ, &[1, 2]);
    }

    const XZ: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21, 0x01, 0x16, 0x00,
        0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00,
        0xf5, 0x97, 0x4c, 0xb6, 0x00, 0x01, 0x1c, 0x08, 0x44, 0x60, 0x2a, 0xc8, 0x90, 0x42, 0x99, 0x0d, 0x01, 0x00,
        0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
    ];

    #[test]
    fn a_trace_is_cut_after_it_was_expanded() {
        let keys = parse_arc(b"0 999999 0 0\n5 10 0 1\n").unwrap();
        let trace = Trace::new(Path::new("x.lis.zst"), keys);
        assert_eq!(trace.in_file, (1_000_009, 999_999));
        assert_eq!((trace.keys.len(), trace.keys[999_999]), (1_000_000, 5));
        assert_eq!(trace.distinct, 999_999);
    }

    #[test]
    fn capacities_are_shares_of_the_distinct_keys_and_never_tiny() {
        let of = |distinct: u64| Trace::new(Path::new("x"), (0..distinct).collect()).capacities();
        assert_eq!(of(20_484), [204, 1024, 4096]);
        assert_eq!(of(1011), [50, 202]);
    }

    #[test]
    fn any_line_may_be_a_key_in_a_users_own_trace() {
        assert_eq!(intern_lines(b"/a?x=1\r\n/b\n\n/a?x=1\n"), [0, 1, 0]);
    }

    #[test]
    fn damage_is_reported_and_names_the_file() {
        assert!(parse_arc(b"1 x 0 0\n").is_err());
        assert!(parse(Path::new("x.trace"), &[1, 2, 3]).is_err());
        let message = read_lines(Path::new("/nonexistent/t.gz")).unwrap_err().to_string();
        assert!(message.starts_with("cannot read trace /nonexistent/t.gz: "), "{message}");
    }
}
