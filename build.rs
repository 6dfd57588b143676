//! Links the addon in the way that Node expects. It's never unloaded, because its threads outlive an
//! environment.

fn main() {
    napi_build::setup();
}
