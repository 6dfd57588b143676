//! Links the addon as Node expects it; never unloaded, since its threads outlive an environment.

fn main() {
    napi_build::setup();
}
