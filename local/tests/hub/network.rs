//! A missing network, and networks that misbehave.

use super::support::{FOREVER, WEIGHTS, World, refusal};

#[tokio::test]
async fn offline_asks_nobody_and_says_why() {
    let mut world = World::new();
    world.download(&["config.json"]).await.unwrap();
    let listing = world.list().await.unwrap();
    let before = world.server.asked().len();
    world.hub.offline = true;
    let text = refusal(world.list().await.unwrap_err());
    assert!(text.contains("HF_HUB_OFFLINE"), "{text}");
    assert!(text.contains("give the directory of a model"), "{text}");
    // Files in the cache need no server.
    for (name, there) in [("config.json", true), (WEIGHTS, false)] {
        let files = super::support::pick(&listing, &[name]);
        let download = world
            .hub
            .download(&world.repo, &listing, &files, &|_| {}, &world.cancel);
        assert_eq!(download.await.is_ok(), there, "{name}");
    }
    assert_eq!(world.server.asked().len(), before);
}

#[tokio::test]
async fn a_hub_that_can_not_be_reached_is_named_with_a_way_on() {
    let mut world = World::new();
    world.hub.endpoint = "http://127.0.0.1:1".to_owned();
    let text = refusal(world.list().await.unwrap_err());
    assert!(text.contains("127.0.0.1 can't be reached"), "{text}");
    let folder = world.folder().display().to_string();
    assert!(text.contains(&folder), "{text}");
    assert!(text.contains("give the directory of a model"), "{text}");
}

#[tokio::test]
async fn a_host_that_does_not_speak_tls_is_not_asked_again() {
    let mut world = World::new();
    world.hub.endpoint = world.hub.endpoint.replace("http:", "https:");
    world.hub.timing.backoff = FOREVER;
    let text = refusal(world.list().await.unwrap_err());
    assert!(text.contains("127.0.0.1 can't be reached"), "{text}");
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_refused() {
    let mut world = World::new();
    for endpoint in ["huggingface.co", "ftp://127.0.0.1", "http://"] {
        endpoint.clone_into(&mut world.hub.endpoint);
        let text = refusal(world.list().await.unwrap_err());
        assert!(text.contains("HF_ENDPOINT"), "{text}");
    }
}
