//! The page's own program: mounts the page. It only draws; the pipeline runs in the engine's worker.

mod app;
mod client;
mod components;
mod platform;

fn main() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(app::App);
}
