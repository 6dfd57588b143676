//! Tokens: which requests are accepted, how the others are refused, and which servers receive a token.

use arkor_local::hub::{Hub, Repo, RepoKind};

use super::support::{WEIGHTS, World, has_weights, refusal};

fn with_token(world: &mut World, token: &str) {
    world.hub.token = Some(token.to_owned());
}

#[tokio::test]
async fn a_token_lets_its_user_in() {
    let mut world = World::new();
    world
        .server
        .conduct(|conduct| conduct.token = Some("hf_secret".to_owned()));
    let text = refusal(world.list().await.unwrap_err());
    assert!(text.contains("HF_TOKEN isn't set"), "{text}");
    assert!(
        text.contains(&format!("{}/acme/small", world.hub.endpoint)),
        "{text}"
    );
    with_token(&mut world, "hf_secret_of_another");
    let text = refusal(world.list().await.unwrap_err());
    assert!(
        text.contains("has no access to it or isn't valid"),
        "{text}"
    );
    with_token(&mut world, "hf_secret");
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    let asked = world.server.asked_for(WEIGHTS);
    assert_eq!(asked[0].header("authorization"), Some("Bearer hf_secret"));
    assert!(!format!("{:?}", world.hub).contains("hf_secret"));
}

#[tokio::test]
async fn a_gated_model_says_where_to_ask() {
    let mut world = World::new();
    world.server.conduct(|conduct| conduct.gated = true);
    let text = world.refused().await;
    assert!(
        text.contains("gated or private, and HF_TOKEN isn't set"),
        "{text}"
    );
    assert!(
        text.contains(&format!(
            "Ask for access on {}/acme/small",
            world.hub.endpoint
        )),
        "{text}"
    );
    with_token(&mut world, "hf_secret");
    let text = world.refused().await;
    assert!(text.contains("the token (HF_TOKEN"), "{text}");
    assert!(text.contains("/acme/small."), "{text}");
}

#[tokio::test]
async fn what_does_not_exist_is_told_by_its_kind() {
    let mut world = World::new();
    let model = Repo::new(RepoKind::Model, "acme/none").unwrap();
    let dataset = Repo::new(RepoKind::Dataset, "acme/none").unwrap();
    for (repo, start) in [
        (&model, "model: 127.0.0.1 has no model acme/none:"),
        (
            &dataset,
            "datasetSource.name: 127.0.0.1 has no dataset acme/none:",
        ),
    ] {
        let text = refusal(world.hub.list(repo, &world.cancel).await.unwrap_err());
        assert!(text.starts_with(start), "{text}");
        assert!(
            text.contains("private or gated and HF_TOKEN isn't set"),
            "{text}"
        );
    }
    with_token(&mut world, "hf_secret");
    let text = refusal(world.hub.list(&dataset, &world.cancel).await.unwrap_err());
    assert!(text.contains("for this user"), "{text}");
    assert!(text.contains("/datasets/acme/none."), "{text}");
}

#[tokio::test]
async fn a_token_does_not_follow_a_redirect_to_another_place() {
    let mut world = World::new();
    with_token(&mut world, "hf_secret");
    world.server.conduct(|conduct| conduct.cdn = true);
    world.leave(b"\0\x01\x02");
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    let asked = world.server.asked_for(WEIGHTS);
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].header("authorization"), Some("Bearer hf_secret"));
    assert!(asked[1].cdn);
    assert_eq!(asked[1].header("authorization"), None);
    assert_eq!(asked[1].header("range"), Some("bytes=3-"));
    assert_eq!(asked[1].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_refusal_of_the_cdn_is_not_one_of_the_hub() {
    let mut world = World::new();
    with_token(&mut world, "hf_secret");
    world.server.conduct(|conduct| {
        conduct.cdn = true;
        conduct.cdn_status = Some(403);
    });
    let text = world.refused().await;
    assert!(
        text.contains("which the Hub pointed to, answered 403"),
        "{text}"
    );
    world
        .server
        .conduct(|conduct| conduct.cdn_status = Some(500));
    let text = world.refused().await;
    assert!(text.contains("127.0.0.1 answered 500"), "{text}");
}

#[tokio::test]
async fn a_token_that_can_not_be_sent_is_not_shown() {
    let mut world = World::new();
    with_token(&mut world, "hf_secret\nX-Other: 1");
    refusal(world.list().await.unwrap_err());
    assert!(world.server.asked().is_empty());
}

#[test]
fn what_is_no_name_is_refused_before_anything_is_asked() {
    for name in [
        "", "a/b/c", "../a", "a/..", "a--b/c", "a b", "a\\b", "/a", "a/",
    ] {
        for kind in [RepoKind::Model, RepoKind::Dataset] {
            refusal(Repo::new(kind, name).unwrap_err());
        }
    }
    for revision in ["", "..", "../../main", "/main", "a\\b"] {
        refusal(Repo::at(RepoKind::Model, "acme/small", revision).unwrap_err());
    }
    let repo = Repo::at(RepoKind::Dataset, "rows", "refs/pr/1").unwrap();
    assert_eq!((repo.kind(), repo.name()), (RepoKind::Dataset, "rows"));
}

#[tokio::test]
async fn a_revision_with_slashes_is_one_segment_of_the_address() {
    let world = World::new();
    let repo = Repo::at(RepoKind::Model, "acme/small", "refs/pr/1").unwrap();
    world.hub.list(&repo, &world.cancel).await.unwrap_err();
    let path = "/api/models/acme/small/revision/refs%2Fpr%2F1";
    assert_eq!(world.server.asked()[0].path, path);
    let mirror = Hub {
        endpoint: format!("{}/mirror/", world.hub.endpoint),
        ..world.hub.clone()
    };
    // The mock server doesn't know this path. Only the URL matters here.
    mirror.list(&world.repo, &world.cancel).await.unwrap_err();
    let last = world.server.asked().pop().unwrap();
    assert!(
        last.path.starts_with("/mirror/api/models/"),
        "{}",
        last.path
    );
}
