//! Packets that come back as they were, and bytes that are none.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::packet::{Features, PlayState, Played, PlayedTurn, Spoken, Word};
use crate::time::Timestamp;

fn about_of(index: u64) -> FrameRef {
    FrameRef {
        index,
        label: format!("frame {index} ü").into(),
        pts: Timestamp(Duration::from_nanos(index * 333_333_333)),
    }
}

/// One of each body that can be bytes, with everything set and with nothing set.
fn bodies() -> Vec<Body> {
    let about = about_of(7);
    let tiles = ChangedTiles {
        tile: 32,
        columns: 2,
        rows: 1,
        changed: vec![true, false],
    };
    let frame = |changed: Option<ChangedTiles>, value: u8| {
        Body::Frame(Frame {
            about: about_of(value.into()),
            width: 3,
            height: 2,
            rgb: vec![value; 18].into(),
            changed: changed.map(Arc::new),
        })
    };
    let word = Word {
        text: "a".into(),
        end: Duration::from_millis(80),
        confidence: 0.5,
        ..Word::default()
    };
    let words: Arc<[Word]> = vec![word.clone(), word].into();
    let text = |delta: &str, text: &str, finished: Option<Finish>| {
        Body::Text(Text {
            delta: delta.into(),
            text: text.into(),
            about: finished.map(|_| about_of(1)),
            thought: finished.is_none(),
            finished,
            spoken: finished.map(|_| Spoken {
                start: Timestamp(Duration::from_millis(5)),
                words: words.clone(),
                n_settled: 1,
                ..Spoken::default()
            }),
        })
    };
    let message = |role, parts: &[&str]| Message {
        role,
        parts: parts.iter().map(|part| Part::Text((*part).into())).collect(),
    };
    let tokens = |role| {
        Body::Tokens(Tokens {
            ids: vec![0, 151_935, u32::MAX].into(),
            about: Some(about.clone()),
            role,
        })
    };
    let samples: Arc<[f32]> = vec![0.0, -1.0, 0.25].into();
    let event = |event| Body::Event(event);
    let (stage, message_text) = (String::from("s"), String::from("m"));
    vec![
        frame(None, 3),
        frame(None, 3),
        frame(Some(tiles), 9),
        Body::Audio(Audio {
            rate_hz: 16_000,
            samples: samples.clone(),
            words: words.clone(),
            about: Some(about_of(2)),
        }),
        Body::Audio(Audio::default()),
        Body::Speech(Speech {
            rate_hz: 8000,
            samples: samples.clone(),
            kept: true,
            about: None,
        }),
        Body::Played(Played {
            turns: [PlayState::Cut, PlayState::Done]
                .map(|state| PlayedTurn {
                    turn: 7,
                    n_samples: 3,
                    n_waiting: 1,
                    words: words.clone(),
                    state,
                    ..PlayedTurn::default()
                })
                .into(),
            rate_hz: 22_050,
            signal: [(Timestamp(Duration::from_millis(20)), samples)].into(),
        }),
        Body::Prompt(Prompt {
            messages: vec![message(Role::System, &[]), message(Role::Assistant, &["a", "é"])],
            about: None,
            max_new_tokens: 160,
        }),
        tokens(TokensRole::Prompt {
            media: Vec::new(),
            max_new_tokens: 12,
            thinking: true,
        }),
        tokens(TokensRole::Answer {
            logprobs: vec![-0.5, f32::NEG_INFINITY].into(),
            finished: Some(Finish::Cancelled),
            thinking: false,
        }),
        text("b", "a b", None),
        text("x", "a b", Some(Finish::Stop)),
        text("", "", Some(Finish::Length)),
        event(Event::Progress {
            stage: stage.clone(),
            what: "w".into(),
            done: 1,
            total: 0,
        }),
        event(Event::Warning {
            stage: stage.clone(),
            message: message_text.clone(),
        }),
        event(Event::StageFailed {
            stage: stage.clone(),
            message: message_text.clone(),
        }),
        event(Event::StageRestarted {
            stage: stage.clone(),
            n_restarts: 3,
            message: message_text,
        }),
        event(Event::StageEnded { stage }),
        event(Event::Hold { held: true }),
        event(Event::Voice { on: false }),
        Body::Metric(Metric {
            of: "a -> b".into(),
            name: "depth",
            value: -2.5,
        }),
    ]
}

#[test]
fn every_kind_of_packet_comes_back_as_it_was() {
    let (mut to, mut from) = (PictureCoder::default(), PictureCoder::default());
    for (seq, body) in bodies().into_iter().enumerate() {
        let packet = Packet {
            seq: seq as u64,
            pts: Timestamp(Duration::from_nanos(1_234_567_891)),
            turn: 3,
            body,
        };
        let bytes = packet_to_bytes(&packet, &mut to).unwrap();
        let read = packet_from_bytes(&bytes, &mut from).unwrap();
        assert_eq!(format!("{read:?}"), format!("{packet:?}"));
        // What is cut short is refused, and so is what is too long where that shows.
        for n in 0..bytes.len() {
            let mut pictures = PictureCoder::default();
            if let Ok(cut) = packet_from_bytes(&bytes[..n], &mut pictures) {
                assert!(matches!(cut.body, Body::Frame(_)), "{n} of {} bytes: {cut:?}", bytes.len());
            }
        }
    }
}

#[test]
fn what_is_only_a_handle_is_refused_by_name() {
    let features = Features {
        about: about_of(0),
        before: None,
        grid_thw: [1, 2, 2],
        handle: Arc::new(()),
    };
    let prompt = Prompt {
        messages: vec![Message {
            role: Role::User,
            parts: vec![Part::Image(features.clone())],
        }],
        about: None,
        max_new_tokens: 1,
    };
    for body in [Body::Features(features), Body::Prompt(prompt)] {
        let error = body_to_bytes(&body, &mut PictureCoder::default()).unwrap_err();
        assert!(
            matches!(error, Error::NotBytes { .. }) && error.to_string().contains("features"),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_packet_or_refused(kind in 0u8..12, bytes: Vec<u8>) {
        let mut pictures = PictureCoder::default();
        let _ = packet_from_bytes(&bytes, &mut pictures);
        let mut all = vec![0, 0, 0, kind];
        all.extend(bytes);
        let _ = packet_from_bytes(&all, &mut pictures);
    }
}
