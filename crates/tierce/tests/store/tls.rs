//! Encrypted connections: whom they trust, and what they say when they do not.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use tierce::runtime::Tls;
use tierce::store::memcached::Memcached;
use tierce::store::redis::{Client, Reply};
use tierce::store::{Address, Fault, Key, Store};
use tierce::testing::Source;
use tierce::{Hub, Kind};

use crate::server::{Server, free_port};

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority, and certificates that it has signed, in a folder that ends with the test.
struct Papers {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Papers {
    fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let name = format!("tierce-papers-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Papers { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_string()
    }

    fn ca(&self) -> String {
        self.path("ca.pem")
    }

    /// A certificate for this host, which ends in that year; its name and its key's.
    fn sign(&self, host: &str, ends: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec![host.to_string()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(ends, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        self.keep(host, &signed.pem(), &key)
    }

    fn keep(&self, host: &str, certificate: &str, key: &KeyPair) -> (String, String) {
        let names = (self.path(&format!("{host}.pem")), self.path(&format!("{host}.key")));
        std::fs::write(&names.0, certificate).unwrap();
        std::fs::write(&names.1, key.serialize_pem()).unwrap();
        names
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// A Redis with TLS on a port of its own, and that port.
fn redis(papers: &Papers, (certificate, key): &(String, String), more: &[&str]) -> (Server, u16) {
    let port = free_port();
    let (tls_port, ca) = (port.to_string(), papers.ca());
    let mut options = vec!["--tls-port", &tls_port, "--tls-cert-file", certificate, "--tls-key-file", key];
    options.extend(["--tls-ca-cert-file", &ca]);
    options.extend(more);
    (Server::redis(&options), port)
}

const OPEN: &[&str] = &["--tls-auth-clients", "no"];

async fn fault(url: &str) -> String {
    let client = Client::open(&Address::parse(url).unwrap(), PATIENCE);
    loop {
        match client.get(b"a").await.unwrap_err() {
            // The system's certificates are read at the first attempt, which a busy machine may give no time.
            Fault::Down(why) if why.contains("took too long") => {}
            Fault::Down(why) => return why.to_string(),
            other => return other.to_string(),
        }
    }
}

#[track_caller]
fn says(fault: &str, what: &str) {
    assert!(fault.contains(what), "{fault:?} does not say {what:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_works_over_tls_with_users_databases_and_names_of_clients() {
    let papers = Papers::new();
    let (_server, port) =
        redis(&papers, &papers.sign("localhost", 2100), &["--tls-auth-clients", "no", "--requirepass", "open"]);
    let url = format!("rediss://default:open@localhost:{port}/2?client_name=shop-1");
    let tls = Tls::default().ca(papers.ca());
    let hub = Hub::builder().tls(tls).require_store().store_budget(PATIENCE).connect(&url).await.unwrap();
    let db = Source::from([(7, "a lamp".to_string())]);
    let lamps = hub.cache::<u64, String>("lamp").build();
    assert_eq!(lamps.get_or_load(&7, || db.load(&7)).await.unwrap(), "a lamp");
    let client = Client::open(&Address::parse(&format!("{url}&ca={}", papers.ca())).unwrap(), PATIENCE);
    let Reply::Bytes(list) = client.command(&[b"CLIENT", b"LIST"]).await.unwrap() else { panic!("no list") };
    let list = String::from_utf8(list).unwrap();
    assert_eq!(list.lines().filter(|line| line.contains("name=shop-1") && line.contains("db=2")).count(), 2, "{list}");
    assert!(list.lines().any(|line| line.contains(&format!("laddr=127.0.0.1:{port}"))), "{list}");
    lamps.invalidate(&7).await.unwrap();
    assert_eq!(lamps.entry(&7).strong().get().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_and_many_callers_go_through_tls_unharmed() {
    let papers = Papers::new();
    let (_server, port) = redis(&papers, &papers.sign("127.0.0.1", 2100), OPEN);
    let client =
        Client::open(&Address::parse(&format!("rediss://127.0.0.1:{port}?ca={}", papers.ca())).unwrap(), PATIENCE);
    // Before all processors are busy: opening has a time of its own.
    assert_eq!(client.get(b"absent").await, Ok(None));
    let callers = (0..200_u32).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let value: Vec<u8> = (0..number * 500).map(|at| (at ^ number).to_le_bytes()[0]).collect();
            let key = number.to_string();
            assert_eq!(client.command(&[b"SET", key.as_bytes(), &value]).await, Ok(Reply::Okay));
            assert_eq!(client.get(key.as_bytes()).await, Ok(Some(value)));
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let papers = Papers::new();
    let (_server, port) = redis(&papers, &papers.sign("localhost", 2100), &["--tls-auth-clients", "yes"]);
    let (certificate, key) = papers.sign("an-app", 2100);
    let url = format!("rediss://localhost:{port}?ca={}", papers.ca());
    says(&fault(&url).await, "cert=…&key=…");
    let client = Client::open(&Address::parse(&format!("{url}&cert={certificate}&key={key}")).unwrap(), PATIENCE);
    assert_eq!(client.get(b"a").await, Ok(None));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_unless_that_is_the_name_that_was_expected() {
    let papers = Papers::new();
    let (_server, port) = redis(&papers, &papers.sign("cache.internal", 2100), OPEN);
    let url = format!("rediss://localhost:{port}?ca={}", papers.ca());
    let fault = fault(&url).await;
    says(&fault, "is not for \"localhost\"");
    says(&fault, &format!("rediss://localhost:{port}"));
    let client = Client::open(&Address::parse(&format!("{url}&server_name=cache.internal")).unwrap(), PATIENCE);
    assert_eq!(client.get(b"a").await, Ok(None));
}

#[tokio::test]
async fn a_certificate_that_nobody_believed_has_signed_is_refused() {
    let papers = Papers::new();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_string()]).unwrap().self_signed(&key).unwrap();
    let files = papers.keep("localhost", &own.pem(), &key);
    let (_server, port) = redis(&papers, &files, OPEN);
    // By an authority of this test's; and by those of the system, if it has any.
    says(&fault(&format!("rediss://localhost:{port}?ca={}", papers.ca())).await, "signed by nobody who is believed");
    says(&fault(&format!("rediss://localhost:{port}")).await, "ca=/path/to/ca.pem");
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_refused() {
    let papers = Papers::new();
    let (_server, port) = redis(&papers, &papers.sign("localhost", 2001), OPEN);
    says(&fault(&format!("rediss://localhost:{port}?ca={}", papers.ca())).await, "its certificate has expired");
}

#[tokio::test]
async fn a_server_without_tls_is_said_to_have_none() {
    let (papers, server) = (Papers::new(), Server::begin(&["--requirepass", "open"]));
    let url = format!("rediss://:open@localhost:{}?ca={}", server.port, papers.ca());
    let fault = fault(&url).await;
    says(&fault, "a server without TLS is written redis://");
    assert!(!fault.contains("open@"), "{fault}");
}

#[tokio::test]
async fn a_server_with_tls_is_said_to_have_it() {
    let papers = Papers::new();
    let (_server, port) = redis(&papers, &papers.sign("localhost", 2100), OPEN);
    says(&fault(&format!("redis://localhost:{port}")).await, "a server with TLS is written rediss://");
    // Others answer that there is something wrong, as TLS says it, and wait.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _alerting = std::thread::spawn(move || {
        let all = listener.incoming().map(|stream| {
            let mut stream = stream.unwrap();
            std::io::Write::write_all(&mut stream, b"\x15\x03\x01\0\x02\x02\x46").unwrap();
            stream
        });
        all.collect::<Vec<_>>()
    });
    says(&fault(&format!("redis://127.0.0.1:{port}")).await, "a server with TLS is written rediss://");
}

#[tokio::test]
async fn files_that_are_not_there_or_are_none_are_an_error_at_once() {
    let papers = Papers::new();
    let check = async |url: &str, said: &str| {
        let error = Hub::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        says(&error.to_string(), said);
    };
    check("rediss://localhost?ca=/no/such.pem", "/no/such.pem: No such file").await;
    std::fs::write(Path::new(&papers.path("empty")), "").unwrap();
    check(&format!("rediss://localhost?ca={}", papers.path("empty")), "no certificate").await;
    let (certificate, _) = papers.sign("localhost", 2100);
    let url = format!("rediss://localhost?ca={}&cert={certificate}&key={certificate}", papers.ca());
    check(&url, "is not what it should be").await;
}

#[tokio::test]
async fn memcached_is_encrypted_as_redis_is() {
    let papers = Papers::new();
    let (certificate, key) = papers.sign("127.0.0.1", 2100);
    let server = Server::memcached(&["-Z", "-o", &format!("ssl_chain_cert={certificate},ssl_key={key}")]);
    let open = |url: &str| Memcached::open(&Address::parse(url).unwrap()).unwrap();
    let url = format!("memcacheds://{}?ca={}", server.place(), papers.ca());
    let (store, key) = (open(&url), Key::new("{test:cache:1:lamp}"));
    store.set(&key, b"\xC4\x01\0lamp", Duration::from_secs(60), PATIENCE).await.unwrap();
    assert_eq!(store.get(&key, PATIENCE).await.unwrap().unwrap().bytes, b"\xC4\x01\0lamp");
    let plain = open(&format!("memcached://{}", server.place()));
    assert!(plain.get(&key, Duration::from_secs(2)).await.is_err());
}
