//! The second listener, `--listen`: what other machines can reach, over TLS.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::endpoints::{BASE, create, create_key, send};
use crate::lifecycle::refused;
use crate::support::{Project, Server, client, command};

/// A certificate and its key in files, and a client that trusts it.
struct Tls {
    dir: TempDir,
    certificate: CertificateDer<'static>,
    client: Client,
}

impl Tls {
    fn new() -> Self {
        let names = ["localhost", "gpu.example", "127.0.0.1"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cert.pem"), cert.pem()).unwrap();
        fs::write(dir.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
        // Installs the TLS provider.
        drop(client());
        let trusted = reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap();
        let client = Client::builder().no_proxy().tls_certs_only([trusted]);
        Self {
            dir,
            certificate: cert.der().clone(),
            client: client.build().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, store: &Path, listen: &str) -> Command {
        let mut command = command(store);
        command.args(["--with-parent", "--listen", listen]);
        command.arg("--tls-cert").arg(self.file("cert.pem"));
        command.arg("--tls-key").arg(self.file("key.pem"));
        command
    }
}

/// The next line on the server's stderr.
fn line(server: &mut Server) -> String {
    let stderr = server.child.stderr.as_mut().unwrap();
    let (mut line, mut byte) = (Vec::new(), [0]);
    // Read single bytes, so that the rest is left for `Server::wait`.
    while stderr.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    String::from_utf8(line).unwrap()
}

/// Starts a server. Returns it with the port in its first line, and that line.
fn start(command: &mut Command) -> (Server, u16, String) {
    let mut server = Server::from_command(command);
    let said = line(&mut server);
    let address = said.split_once("://").unwrap().1;
    let address = address.split_once('/').unwrap().0;
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    (server, port, said)
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn other_machines_call_endpoints_with_a_key_over_tls_and_nothing_else() {
    let (project, tls) = (Project::new(), Tls::new());
    let (server, port, said) = start(&mut tls.command(&project.store(), "0.0.0.0:0"));
    let expected = format!(
        "arkor-local: endpoints with a key can be reached from other machines at https://0.0.0.0:{port}/e/<slug>/v1"
    );
    assert_eq!(said, expected);
    let id = create(&server, "prod", &json!({})).await;
    let (key_id, key) = create_key(&server, &id).await;
    let open = create(&server, "open", &json!({ "authMode": "none" })).await;
    create_key(&server, &open).await;
    let at = |path: &str| format!("https://localhost:{port}{path}");
    let get = async |path: &str, token: &str| {
        let request = tls.client.get(at(path)).bearer_auth(token);
        answer(request.send().await.unwrap()).await
    };

    let (status, body) = get("/e/prod/v1/models", &key).await;
    assert_eq!((status, &body["data"][0]["id"]), (200, &json!("prod")));
    let question = json!({
        "model": "prod",
        "messages": [{ "role": "user", "content": "Hi" }],
        "max_tokens": 4,
        "stream": true,
    });
    // The request may use any host name.
    let chat = tls.client.post(at("/e/prod/v1/chat/completions"));
    let chat = chat.bearer_auth(&key).header("host", "gpu.example");
    let chat = chat.header("origin", "https://app.example");
    let response = chat.body(question.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));

    for path in [
        "/",
        "/v1/me",
        "/v1/jobs",
        "/v1/models",
        BASE,
        "/e",
        "/e/",
        "/e/open/v1/models",
    ] {
        for token in [&server.token, &key] {
            let (status, body) = get(path, token).await;
            assert_eq!(status, 404, "{path}: {body}");
            assert!(body["error"]["message"].is_string(), "{path}: {body}");
        }
    }
    let unknown = get("/e/unknown/v1/models", &key).await;
    assert_eq!(get("/e/open/v1/models", &key).await, unknown);
    for wrong in ["", "ark_0", &server.token] {
        let (status, body) = get("/e/prod/v1/models", wrong).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("invalid_api_key"))
        );
    }
    let wrong = tls.client.delete(at("/e/prod/v1/models")).bearer_auth(&key);
    assert_eq!(answer(wrong.send().await.unwrap()).await.0, 405);
    let plain = client().get(format!("http://localhost:{port}/e/prod/v1/models"));
    assert!(plain.bearer_auth(&key).send().await.is_err());

    // Switching to "none" takes effect at once: other machines can't call the endpoint any more.
    let path = format!("{BASE}/{id}");
    let change = |mode: &str| json!({ "authMode": mode });
    send(&server, Method::PATCH, &path, &change("none")).await;
    assert_eq!(get("/e/prod/v1/models", &key).await, unknown);
    send(&server, Method::PATCH, &path, &change("fixed_api_key")).await;
    assert_eq!(get("/e/prod/v1/models", &key).await.0, 200);
    send(
        &server,
        Method::DELETE,
        &format!("{path}/keys/{key_id}"),
        &Value::Null,
    )
    .await;
    assert_eq!(get("/e/prod/v1/models", &key).await.0, 401);
    let (status, stderr) = server.wait();
    assert!(status.success() && !stderr.contains(&key), "{stderr}");
}

#[tokio::test]
async fn for_this_machine_alone_it_needs_no_tls() {
    let project = Project::new();
    let (server, port, said) = start(command(&project.store()).args(["--listen", "127.0.0.1:0"]));
    assert!(
        said.contains("reached from this machine at http://127.0.0.1:"),
        "{said}"
    );
    let id = create(&server, "prod", &json!({})).await;
    let (_, key) = create_key(&server, &id).await;
    create(&server, "open", &json!({ "authMode": "none" })).await;
    let get = async |path: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        answer(client().get(url).bearer_auth(&key).send().await.unwrap())
            .await
            .0
    };
    assert_eq!(get("/e/prod/v1/models").await, 200);
    assert_eq!(get("/e/open/v1/models").await, 404);
    assert_eq!(get("/v1/me").await, 404);
}

#[test]
fn what_keeps_it_from_listening_is_one_line_that_names_the_flag() {
    let (project, tls) = (Project::new(), Tls::new());
    let write = |name: &str, text: &str| {
        fs::write(tls.file(name), text).unwrap();
        tls.file(name)
    };
    let (cert, key) = (tls.file("cert.pem"), tls.file("key.pem"));
    let text = fs::read_to_string(&key).unwrap();
    let secret = text.lines().nth(1).unwrap();
    let none = tls.file("none.pem");
    let empty = write("empty.pem", "");
    let encrypted = text.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let encrypted = write("encrypted.pem", &encrypted);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let old = write("old.pem", old);
    let cut = write("cut.pem", &text[..text.len() / 2]);
    let other = write("other.pem", &KeyPair::generate().unwrap().serialize_pem());
    let cases = [
        (&none, &key, "--tls-cert: can't read"),
        (&empty, &key, "--tls-cert: "),
        (&key, &key, "has no certificate"),
        (&cert, &none, "--tls-key: can't read"),
        (&cert, &empty, "has no private key"),
        (&cert, &cert, "has no private key"),
        (&cert, &encrypted, "is encrypted"),
        (&cert, &old, "is encrypted"),
        (&cert, &cut, "--tls-key: "),
        (
            &cert,
            &other,
            "--tls-key: it isn't the key of the certificate",
        ),
    ];
    for (cert, key, expected) in cases {
        let mut command = command(&project.store());
        // If it does start, it stops at once, because of `--with-parent`.
        command
            .args(["--with-parent", "--listen", "127.0.0.1:0", "--tls-cert"])
            .arg(cert);
        let said = refused(command.arg("--tls-key").arg(key));
        assert!(said.contains(expected) && said.contains("--tls-"), "{said}");
        assert!(!said.contains(secret), "{said}");
    }
    let refusal = |args: &[&str]| {
        let mut command = command(&project.store());
        refused(command.arg("--with-parent").args(args))
    };
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let said = refusal(&["--listen", address]);
        let expected = "can be reached from other machines and needs --tls-cert and --tls-key";
        assert!(said.contains(expected) && said.contains(address), "{said}");
    }
    let said = refusal(&["--listen", "127.0.0.1:0", "--tls-cert", cert]);
    assert!(said.contains("--tls-key is missing"), "{said}");
    let said = refusal(&["--listen", "127.0.0.1:0", "--tls-key", key]);
    assert!(said.contains("--tls-cert is missing"), "{said}");
    let said = refusal(&["--tls-cert", cert, "--tls-key", key]);
    assert!(said.contains("--listen is missing"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&["--listen", &address]);
    assert!(
        said.contains("--listen: can't listen on") && said.contains(&address),
        "{said}"
    );
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_and_keeps_nobody_waiting() {
    let (project, tls) = (Project::new(), Tls::new());
    let (server, port, _) = start(&mut tls.command(&project.store(), "127.0.0.1:0"));
    let id = create(&server, "prod", &json!({})).await;
    let (_, key) = create_key(&server, &id).await;
    // One connection stays silent before the handshake, and the other one after it.
    let started = Instant::now();
    let mut before = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(tls.certificate.clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut after = connector.connect(name, stream).await.unwrap();

    let url = format!("https://localhost:{port}/e/prod/v1/models");
    let response = tls.client.get(url).bearer_auth(&key).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        started.elapsed() < Duration::from_secs(9),
        "answered while they wait"
    );
    let mut buffer = [0; 64];
    assert_eq!(before.read(&mut buffer).await.unwrap_or(0), 0);
    assert_eq!(after.read(&mut buffer).await.unwrap_or(0), 0);
    let seconds = started.elapsed().as_secs();
    assert!((9..20).contains(&seconds), "{seconds}");
}

#[test]
fn the_server_ends_at_once_although_a_handshake_is_under_way() {
    let (project, tls) = (Project::new(), Tls::new());
    let (server, port, _) = start(&mut tls.command(&project.store(), "127.0.0.1:0"));
    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Connections are accepted in order: once this one is closed, the silent one has been accepted.
    let mut spoken = TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut spoken, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = spoken.read_to_end(&mut Vec::new());
    let asked = Instant::now();
    let (status, stderr) = server.wait();
    assert!(status.success(), "{stderr}");
    assert!(asked.elapsed() < Duration::from_secs(4), "it was cut off");
    drop(silent);
}

#[cfg(unix)]
#[tokio::test]
async fn strangers_cannot_take_the_connections_of_this_machine() {
    let (project, tls) = (Project::new(), Tls::new());
    let plain = tls.command(&project.store(), "127.0.0.1:0");
    let mut limited = Command::new("sh");
    // With this limit, there can be 16 connections.
    limited.args(["-c", "ulimit -n 80; exec \"$0\" \"$@\""]);
    limited.arg(plain.get_program()).args(plain.get_args());
    limited.env_remove("ARKOR_LOCAL_TOKEN");
    limited.stdin(std::process::Stdio::piped());
    limited.stdout(std::process::Stdio::piped());
    limited.stderr(std::process::Stdio::piped());
    let (server, port, _) = start(&mut limited);
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).unwrap();
    let silent: Vec<TcpStream> = (0..100).map(connect).collect();
    let request = server.request(Method::GET, "/v1/me");
    let response = request
        .timeout(Duration::from_secs(8))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    drop(silent);
}
