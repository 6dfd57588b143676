//! The management of endpoints and their keys, and whether they survive a restart.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Project, Server, client, command};

pub const BASE: &str = "/v1/endpoints";

/// A minimal endpoint, with `more` fields.
pub fn input(slug: &str, more: &Value) -> Value {
    let mut body = json!({
        "slug": slug,
        "target": { "kind": "base_model", "baseModel": "arkor-tiny" },
        "authMode": "fixed_api_key",
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body
}

/// Sends a request with a body. Returns the status code and the body of the response.
pub async fn send(server: &Server, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let request = server.request(method, path).body(body.to_string());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Creates an endpoint, and returns its id.
pub async fn create(server: &Server, slug: &str, more: &Value) -> String {
    let path = format!("{BASE}?orgSlug=local&projectSlug=demo");
    let (status, body) = server.post(&path, &input(slug, more)).await;
    assert_eq!(status, 201, "{body}");
    body["deployment"]["id"].as_str().unwrap().to_owned()
}

/// Creates a key. Returns its id and its plaintext.
pub async fn create_key(server: &Server, endpoint: &str) -> (String, String) {
    let path = format!("{BASE}/{endpoint}/keys");
    let (status, body) = server.post(&path, &json!({ "label": "web" })).await;
    assert_eq!(status, 201, "{body}");
    let text = |name: &str| body["key"][name].as_str().unwrap().to_owned();
    (text("id"), text("plaintext"))
}

/// Checks that fields are refused with these messages, both in a new endpoint and in a change.
pub async fn refuses(server: &Server, endpoint: &str, cases: &[(Value, &str)]) {
    for (more, expected) in cases {
        let (status, body) = server.post(BASE, &input("new", more)).await;
        let said = body["error"].as_str().unwrap();
        assert!(
            status == 400 && said.contains(expected),
            "{more}: {status} {said}"
        );
        let path = format!("{BASE}/{endpoint}");
        let (status, body) = send(server, Method::PATCH, &path, more).await;
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some(said)),
            "{more}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_is_made_listed_by_project_changed_and_deleted() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (status, made) = server
        .post(
            &format!("{BASE}?projectSlug=demo"),
            &input("prod", &json!({})),
        )
        .await;
    let made = made["deployment"].clone();
    let expected = json!({
        "id": made["id"],
        "slug": "prod",
        "orgId": "local",
        "projectId": "demo",
        "target": { "kind": "base_model", "baseModel": "arkor-tiny" },
        "authMode": "fixed_api_key",
        "urlFormat": "openai_compat",
        "enabled": true,
        "customDomain": null,
        "runRetentionMode": "disabled",
        "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
    });
    assert_eq!((status, &made), (201, &expected));
    assert!(made["createdAt"].as_str().unwrap().ends_with('Z'));
    let path = format!("{BASE}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        server.get(&path).await,
        (200, json!({ "deployment": made }))
    );

    let more = json!({ "authMode": "none", "enabled": false, "urlFormat": "openai_compat" });
    let second = create(&server, "second", &more).await;
    let (_, list) = server.get(&format!("{BASE}?projectSlug=demo")).await;
    let ids: Vec<&Value> = list["deployments"].as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 2, "{list}");
    assert_eq!((&ids[0]["id"], ids[1]), (&json!(second), &made));
    assert_eq!(ids[0]["enabled"], false);
    let (_, list) = server.get(&format!("{BASE}?projectSlug=other")).await;
    assert_eq!(list, json!({ "deployments": [] }));
    let (_, list) = server.get("/v1/projects").await;
    assert_eq!(list["projects"][0]["slug"], "demo");

    // The SDK sends null if there is no domain.
    let change = json!({ "slug": "live", "enabled": false, "customDomain": null });
    let (status, changed) = send(&server, Method::PATCH, &path, &change).await;
    let changed = &changed["deployment"];
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        (&changed["slug"], &changed["enabled"], &changed["authMode"]),
        (&json!("live"), &json!(false), &json!("fixed_api_key"))
    );
    assert_eq!(changed["createdAt"], made["createdAt"]);
    assert_eq!(server.get(&path).await.1["deployment"], *changed);

    let (status, body) = send(&server, Method::DELETE, &path, &Value::Null).await;
    assert_eq!((status, body), (204, Value::Null));
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let (status, body) = send(&server, method, &path, &json!({})).await;
        assert_eq!(status, 404);
        assert!(body["error"].as_str().unwrap().contains("no such endpoint"));
    }
    assert_eq!(server.get(&format!("{path}/keys")).await.0, 404);
    let body = json!({ "label": "web" });
    assert_eq!(server.post(&format!("{path}/keys"), &body).await.0, 404);
}

#[tokio::test]
async fn a_slug_is_one_address_for_all_projects() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let first = create(&server, "prod", &json!({})).await;
    let second = create(&server, "test", &json!({})).await;
    let (status, body) = server
        .post(
            &format!("{BASE}?projectSlug=other"),
            &input("prod", &json!({})),
        )
        .await;
    let said = body["error"].as_str().unwrap();
    assert_eq!((status, said.contains("slug")), (409, true), "{said}");
    let path = format!("{BASE}/{second}");
    let change = json!({ "slug": "prod", "enabled": false });
    assert_eq!(send(&server, Method::PATCH, &path, &change).await.0, 409);
    // A refused change changes nothing.
    assert_eq!(server.get(&path).await.1["deployment"]["enabled"], true);
    let own = format!("{BASE}/{first}");
    assert_eq!(send(&server, Method::PATCH, &own, &change).await.0, 200);
    assert_eq!(send(&server, Method::DELETE, &own, &json!({})).await.0, 204);
    assert_eq!(send(&server, Method::PATCH, &path, &change).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let id = create(&server, "there", &json!({})).await;
    let long = "a".repeat(64);
    let cases = [
        (json!({ "slug": "Prod" }), "slug must"),
        (json!({ "slug": "" }), "slug must"),
        (json!({ "slug": "a/b" }), "slug must"),
        (json!({ "slug": long }), "slug must"),
        (json!({ "slug": 5 }), "slug: "),
        (json!({ "authMode": "jwt" }), "authMode: "),
        (json!({ "urlFormat": "vertex" }), "urlFormat: "),
        (json!({ "enabled": "yes" }), "enabled: "),
        (
            json!({ "customDomain": "a.example" }),
            "customDomain must be null",
        ),
        (
            json!({ "runRetentionMode": "unlimited" }),
            "runRetentionMode must be",
        ),
        (
            json!({ "runRetentionMode": "days", "runRetentionDays": 7 }),
            "runRetentionMode must be",
        ),
        (
            json!({ "runRetentionMode": "disabled", "runRetentionDays": 7 }),
            "runRetentionDays is",
        ),
        (json!({ "rateLimit": 5 }), "rateLimit"),
    ];
    let before = server.get(BASE).await;
    refuses(&server, &id, &cases).await;
    for field in ["slug", "target", "authMode"] {
        let mut body = input("new", &json!({}));
        body.as_object_mut().unwrap().remove(field);
        let (status, body) = server.post(BASE, &body).await;
        let said = body["error"].as_str().unwrap();
        assert_eq!(
            (status, said),
            (400, format!("{field} is missing").as_str())
        );
    }
    for label in [json!(null), json!(" "), json!(7), json!("x".repeat(81))] {
        let path = format!("{BASE}/{id}/keys");
        let (status, body) = server.post(&path, &json!({ "label": label })).await;
        let said = body["error"].as_str().unwrap();
        assert!(status == 400 && said.contains("label"), "{label}: {said}");
    }
    assert_eq!(server.get(BASE).await, before);
}

#[tokio::test]
async fn a_key_is_shown_once_and_is_gone_when_it_is_revoked() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let id = create(&server, "prod", &json!({})).await;
    let keys = format!("{BASE}/{id}/keys");
    assert_eq!(server.get(&keys).await, (200, json!({ "keys": [] })));
    let (status, body) = server.post(&keys, &json!({ "label": "web" })).await;
    let key = &body["key"];
    let fields: Vec<&String> = key.as_object().unwrap().keys().collect();
    assert_eq!(status, 201);
    assert_eq!(fields, ["id", "label", "plaintext", "prefix", "createdAt"]);
    let plaintext = key["plaintext"].as_str().unwrap();
    assert!(
        plaintext.starts_with("ark_") && plaintext.len() == 68,
        "{plaintext}"
    );
    let listed = json!({
        "id": key["id"],
        "label": "web",
        "prefix": &plaintext[..12],
        "enabled": true,
        "createdAt": key["createdAt"],
        "lastUsedAt": null,
    });
    assert_eq!(server.get(&keys).await, (200, json!({ "keys": [listed] })));
    let (other, second) = create_key(&server, &id).await;
    assert_ne!(second, plaintext);
    let path = format!("{keys}/{}", key["id"].as_str().unwrap());
    assert_eq!(
        send(&server, Method::DELETE, &path, &json!({})).await,
        (204, Value::Null)
    );
    let (status, body) = send(&server, Method::DELETE, &path, &json!({})).await;
    assert_eq!(status, 404);
    assert!(body["error"].as_str().unwrap().contains("no such key"));
    let (_, list) = server.get(&keys).await;
    assert_eq!(list["keys"].as_array().unwrap().len(), 1);
    assert_eq!(list["keys"][0]["id"], other.as_str());
}

#[tokio::test]
async fn endpoints_survive_a_restart_and_no_file_or_log_has_a_key() {
    let project = Project::new();
    let mut with_parent = command(&project.store());
    let server = Server::from_command(with_parent.arg("--with-parent"));
    let id = create(&server, "prod", &json!({})).await;
    let (_, key) = create_key(&server, &id).await;
    let models = format!("{}/e/prod/v1/models", server.url);
    let call = client().get(models).bearer_auth(&key);
    assert_eq!(call.send().await.unwrap().status(), 200);
    let path = format!("{BASE}/{id}");
    let before = (
        server.get(&path).await,
        server.get(&format!("{path}/keys")).await,
    );
    let (status, stderr) = server.wait();
    assert!(status.success() && !stderr.contains(&key), "{stderr}");

    let file = project.store().join("endpoints.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(&key[..12]) && !text.contains(&key[12..]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(!project.store().join("endpoints.tmp").exists());
    let server = Server::start(&project.store());
    let after = (
        server.get(&path).await,
        server.get(&format!("{path}/keys")).await,
    );
    assert_eq!(before, after);
    let (_, list) = server.get("/v1/projects").await;
    assert_eq!(list["projects"][0]["slug"], "demo");
}

#[tokio::test]
async fn a_damaged_file_keeps_the_server_from_starting_and_is_left_alone() {
    let project = Project::new();
    fs::create_dir_all(project.store()).unwrap();
    let file = project.store().join("endpoints.json");
    fs::write(&file, "{\"endpoints\": [").unwrap();
    // If it does start, it stops at once, because of `--with-parent`.
    let mut with_parent = command(&project.store());
    let output = with_parent.arg("--with-parent").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("endpoints.json is damaged"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"endpoints\": [");
}
