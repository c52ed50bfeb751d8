//! What this is, how it is used by keyboard and screen reader, and where to find out more.

use leptos::prelude::*;

#[component]
pub fn About() -> impl IntoView {
    view! {
        <section class="about">
            <h1>"About"</h1>
            <p class="lead">
                "QWGLM runs Qwen3-VL, a vision language model, on its own GPU engine: in this tab by WebGPU, and as a program on Vulkan,
                Metal and DX12."
            </p>
            <h2>"By keyboard and by ear"</h2>
            <p>
                "Everything is a link, a button or a field, in the order in which it is read. Finished sentences are announced politely,
                one at a time: while one is being spoken the newest waits, and those between are in the transcript. A failure is
                announced at once, and the focus moves to its words."
            </p>
            <h2>"Privacy"</h2>
            <p>
                "The page's own rules (its content security policy) forbid it to connect anywhere but where it came from. What you share
                is turned into numbers on your GPU and forgotten. Settings stay in this browser."
            </p>
            <h2>"Without a network"</h2>
            <p>"Once a model is loaded the page works offline, and it can be installed from the browser's menu."</p>
        </section>
    }
}
