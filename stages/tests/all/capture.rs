//! Sources of pictures in a graph: what comes out, in which order, and what a bad file does.

use crate::common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipeline::error::Error;
use pipeline::graph::Graph;
use pipeline::packet::{Body, Frame, Packet};
use pipeline::registry::Registry;
use pipeline::runtime::{Report, Run, RunOptions};
use stages::Env;

fn recording() -> PathBuf {
    common::root().join("tests/data/recording")
}

/// Runs a graph whose sink is the channel `out`; gives its frames and how it ended.
async fn run(base: &Path, stages: &str) -> (Vec<Packet>, Result<Report, Error>) {
    let env = Arc::new(Env {
        base: base.to_owned(),
        ..Env::default()
    });
    let mut registry = Registry::new();
    stages::register(&mut registry, &env);
    let graph = Graph::from_toml(&format!("[pipeline]\nname = \"test\"\n{stages}"), &registry).unwrap();
    let channel = env.open_channel("out", 4);
    let run = Run::start(&graph, &registry, RunOptions::default()).unwrap();
    let mut packets = Vec::new();
    while let Ok(packet) = channel.recv().await {
        packets.push(packet);
    }
    (packets, run.join().await)
}

fn frames(packets: &[Packet]) -> Vec<&Frame> {
    let frame = |packet: &'_ Packet| matches!(packet.body, Body::Frame(_));
    assert!(packets.iter().all(frame));
    packets
        .iter()
        .filter_map(|packet| {
            if let Body::Frame(frame) = &packet.body {
                Some(frame)
            } else {
                None
            }
        })
        .collect()
}

const OUT: &str = "[stage.out]\ntype = \"sink.channel\"\ninput = { from = \"source\", size = 1, when_full = \"wait\" }\n";

#[tokio::test]
async fn a_folder_comes_in_the_order_of_its_names() {
    let source = "[stage.source]\ntype = \"capture.frames\"\npath = \"recording\"\nrealtime = false\n";
    let (packets, ended) = run(&common::root().join("tests/data"), &format!("{source}{OUT}")).await;
    ended.unwrap();
    let frames = frames(&packets);
    assert_eq!(frames.len(), 34);
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!((frame.width, frame.height), (1024, 640));
        assert_eq!(
            (frame.about.index, &*frame.about.label),
            (index as u64, format!("{index:03}").as_str())
        );
        assert_eq!(frame.about.pts.0, Duration::from_millis(500) * index as u32);
    }
}

#[tokio::test(start_paused = true)]
async fn in_real_time_frames_come_at_their_rate_and_none_is_lost_where_links_wait() {
    let source = "[stage.source]\ntype = \"capture.frames\"\npath = \"recording\"\nfps = 4.0\n";
    let (packets, ended) = run(&common::root().join("tests/data"), &format!("{source}{OUT}")).await;
    ended.unwrap();
    assert_eq!(packets.len(), 34);
    let gaps = packets.windows(2).map(|pair| pair[1].pts.since(pair[0].pts));
    assert!(gaps.into_iter().all(|gap| gap == Duration::from_millis(250)));
}

#[tokio::test]
async fn a_repeated_folder_ends_when_nobody_reads_it() {
    let env = Arc::new(Env {
        base: recording(),
        ..Env::default()
    });
    let mut registry = Registry::new();
    stages::register(&mut registry, &env);
    let source = "[stage.source]\ntype = \"capture.frames\"\npath = \".\"\nrealtime = false\nrepeat = true\n";
    let graph = Graph::from_toml(&format!("{source}{OUT}"), &registry).unwrap();
    let channel = env.open_channel("out", 1);
    let run = Run::start(&graph, &registry, RunOptions::default()).unwrap();
    for index in 0..70 {
        let packet = channel.recv().await.unwrap();
        let Body::Frame(frame) = packet.body else { panic!("no frame") };
        assert_eq!(
            (frame.about.index, &*frame.about.label),
            (index, format!("{:03}", index % 34).as_str())
        );
    }
    drop(channel);
    run.join().await.unwrap();
}

#[tokio::test]
async fn only_frames_that_change_pass() {
    let truth = common::json(recording().join("truth.json"));
    let mut expected = vec![0];
    expected.extend(
        truth["changed_frames"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| frame.as_u64().unwrap()),
    );
    let stages = "[stage.frames]\ntype = \"capture.frames\"\npath = \".\"\nrealtime = false\n\
        [stage.source]\ntype = \"vision.changes\"\ninput = { from = \"frames\", size = 2, when_full = \"wait\" }\n";
    let (packets, ended) = run(&recording(), &format!("{stages}{OUT}")).await;
    ended.unwrap();
    let frames = frames(&packets);
    assert_eq!(frames.iter().map(|frame| frame.about.index).collect::<Vec<_>>(), expected);
    assert!(frames[0].changed.is_none());
    for frame in &frames[1..] {
        let tiles = frame.changed.as_ref().unwrap();
        assert_eq!((tiles.tile, tiles.columns, tiles.rows), (32, 32, 20));
        assert!(tiles.changed.iter().any(|&changed| changed));
    }
}

/// How a failed run puts it.
fn failure(ended: Result<Report, Error>) -> String {
    pipeline::error::chain(&ended.unwrap_err())
}

#[tokio::test]
async fn a_bad_file_fails_the_run_but_the_others_come() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read(recording().join("000.png")).unwrap();
    let mut truncated = good.clone();
    truncated.truncate(good.len() / 2);
    let files: [(&str, &[u8]); 3] = [("a.png", &truncated), ("b.png", &[]), ("c.png", &good)];
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let source = "[stage.source]\ntype = \"capture.file\"\npath = [\"a.png\", \"b.png\", \"missing.png\", \"c.png\"]\n";
    let (packets, ended) = run(folder.path(), &format!("{source}{OUT}")).await;
    let frames = frames(&packets);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].about.index, &*frames[0].about.label), (3, "c"));
    let failure = failure(ended);
    assert!(failure.contains("a.png") && failure.contains("stage source"), "{failure}");
    for (name, word) in [("b.png", "empty"), ("missing.png", "cannot be read")] {
        let source = format!("[stage.source]\ntype = \"capture.file\"\npath = \"{name}\"\n");
        let (packets, ended) = run(folder.path(), &format!("{source}{OUT}")).await;
        let failure = self::failure(ended);
        assert!(
            packets.is_empty() && failure.contains(name) && failure.contains(word),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn folders_without_pictures_are_named() {
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("notes.txt"), "x").unwrap();
    for (path, word) in [
        ("missing", "cannot be read"),
        (".", "no picture"),
        ("notes.txt", "cannot be read"),
    ] {
        let source = format!("[stage.source]\ntype = \"capture.frames\"\npath = \"{path}\"\n");
        let (packets, ended) = run(empty.path(), &format!("{source}{OUT}")).await;
        let failure = failure(ended);
        assert!(packets.is_empty() && failure.contains(word), "{path}: {failure}");
    }
}

fn ffmpeg_is_missing() -> bool {
    let missing = std::process::Command::new("ffmpeg").arg("-version").output().is_err();
    if missing {
        println!("SKIPPED: no ffmpeg");
    }
    missing
}

#[tokio::test]
async fn a_video_is_sampled_at_the_rate_asked_for() {
    if ffmpeg_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("-v.mkv");
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-framerate", "2", "-i"])
        .arg(recording().join("%03d.png"))
        .args(["-c:v", "ffv1"])
        .arg(&video)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let source = "[stage.source]\ntype = \"capture.video\"\npath = \"-v.mkv\"\nfps = 1.0\nrealtime = false\n";
    let (packets, ended) = run(folder.path(), &format!("{source}{OUT}")).await;
    ended.unwrap();
    let frames = frames(&packets);
    assert_eq!(frames.len(), 17);
    assert!(
        frames
            .iter()
            .all(|frame| (frame.width, frame.height) == (1024, 640) && &*frame.about.label == "-v")
    );
    assert_eq!(frames[3].about.pts.0, Duration::from_secs(3));
    let first = stages::capture::file::read_picture(&recording().join("000.png")).unwrap();
    let worst = frames[0].rgb.iter().zip(&first.rgb).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(4), "differs by {worst:?} levels");
}

#[tokio::test]
async fn what_is_no_video_is_refused_with_the_words_of_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("v.mp4"), "no video").unwrap();
    let source = "[stage.source]\ntype = \"capture.video\"\npath = \"v.mp4\"\n";
    let without = format!("{source}ffmpeg = \"no-such-ffmpeg\"\n{OUT}");
    let (_, ended) = run(folder.path(), &without).await;
    let failure = self::failure(ended);
    assert!(failure.contains("apt install ffmpeg"), "{failure}");
    if ffmpeg_is_missing() {
        return;
    }
    let (packets, ended) = run(folder.path(), &format!("{source}{OUT}")).await;
    let failure = self::failure(ended);
    assert!(
        packets.is_empty() && failure.contains("v.mp4") && failure.contains("Invalid data"),
        "{failure}"
    );
}

#[cfg(not(feature = "desktop"))]
#[tokio::test]
async fn without_the_feature_the_screen_says_how_to_get_it() {
    let (_, ended) = run(Path::new("."), &format!("[stage.source]\ntype = \"capture.screen\"\n{OUT}")).await;
    let failure = failure(ended);
    assert!(failure.contains("desktop"), "{failure}");
}

#[cfg(feature = "desktop")]
#[tokio::test]
async fn a_screen_is_captured_where_there_is_one() {
    if std::env::var_os("DISPLAY").is_none() {
        println!("SKIPPED: no display (xvfb-run gives one)");
        let (_, ended) = run(Path::new("."), &format!("[stage.source]\ntype = \"capture.screen\"\n{OUT}")).await;
        assert!(failure(ended).contains("cannot be captured"));
        return;
    }
    let env = Arc::new(Env::default());
    let mut registry = Registry::new();
    stages::register(&mut registry, &env);
    let graph = Graph::from_toml(
        &format!("[stage.source]\ntype = \"capture.screen\"\nfps = 50\n{OUT}"),
        &registry,
    )
    .unwrap();
    let channel = env.open_channel("out", 1);
    let run = Run::start(&graph, &registry, RunOptions::default()).unwrap();
    for index in 0..3 {
        let Body::Frame(frame) = channel.recv().await.unwrap().body else {
            panic!("no frame")
        };
        assert_eq!(frame.about.index, index);
        assert_eq!(frame.rgb.len(), frame.width as usize * frame.height as usize * 3);
    }
    run.handle().stop();
    while channel.recv().await.is_ok() {}
    run.join().await.unwrap();
}
