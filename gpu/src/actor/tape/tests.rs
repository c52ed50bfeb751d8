//! Requests and replies that come back as they were, and bytes that are none.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::protocol::speech::{FrontEnd, Prediction, SpeechModelId, SpeechOptions, Step, TranscribeRequest};

fn replies() -> Vec<Reply> {
    let adapter = Adapter {
        name: "a".into(),
        driver: "d".into(),
        backend: "vulkan".into(),
        software: true,
        max_binding_bytes: 1 << 40,
        max_buffer_bytes: 2,
        max_workgroups: 3,
        max_invocations: 4,
        workgroup_memory_bytes: 5,
        storage_buffers: 6,
        shader_f16: false,
        subgroups: Some((8, 64)),
        timestamps: true,
        subgroup_barrier: false,
        timestamps_inside_passes: false,
        coop: Vec::new(),
    };
    let stats = GenerateStats {
        prompt_tokens: 900,
        reused_tokens: 12,
        new_tokens: 7,
        prefill_s: 0.1,
        decode_s: f64::MIN_POSITIVE,
    };
    vec![
        Reply::Loaded(ModelInfo {
            id: ModelId(1),
            name: "m".into(),
            vocab_size: 400,
            context_tokens: 512,
            patch_size: 16,
            merge_size: 2,
            image_token_id: 151_655,
            video_token_id: 7,
            stop_ids: vec![1, 151_645],
            weight_bytes: 1 << 33,
            cache_bytes: 9,
        }),
        Reply::Encoded {
            grid_thw: [1, 40, 60],
            n_tokens: 600,
        },
        Reply::Event(GenerateEvent::Prefill {
            done: 5,
            reused: 0,
            total: 9,
        }),
        Reply::Event(GenerateEvent::Tokens {
            ids: vec![3, u32::MAX],
            logprobs: vec![-0.25, f32::MIN_POSITIVE],
        }),
        Reply::Event(GenerateEvent::Finished {
            reason: FinishReason::Length,
            stats,
        }),
        Reply::Sequence(SequenceId(1 << 40)),
        Reply::Done,
        Reply::Stats(EngineStats {
            adapter,
            memory_bytes: 1,
            sequences: 2,
            cache_tokens_used: 3,
            cache_tokens_total: 4,
        }),
        Reply::LoadedSpeech(SpeechInfo {
            id: SpeechModelId(2),
            name: "ears".into(),
            n_mels: 128,
            max_mel: 2048,
            blank_id: 512,
            vocabulary: vec!["\u{2581}a".into(), "b".into()],
            front_end: FrontEnd {
                window: Some(vec![0.5, -1.0]),
                filters: None,
            },
            weight_bytes: 4_000_000,
        }),
        Reply::Heard(Transcription {
            steps: vec![Step {
                id: 511,
                frame: 300,
                duration: 4,
                next_frame: 304,
                log_probability: -0.125,
            }],
            prediction: Arc::new(Prediction { values: vec![7, 0, 255] }),
        }),
        Reply::Failed("the device was lost: x".into()),
        Reply::Gone,
    ]
}

#[test]
fn every_reply_comes_back_as_it_was_and_no_part_of_it_does() {
    for reply in replies() {
        let after = Duration::from_nanos(123_456_789);
        let bytes = reply_to_bytes("main", 300, after, &reply);
        let read = reply_from_bytes(&bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", ("main".to_owned(), 300, after, &reply)));
        for n in 0..bytes.len() {
            assert!(reply_from_bytes(&bytes[..n]).is_err(), "{n} bytes of {reply:?}");
        }
    }
}

#[test]
fn what_differs_is_named() {
    let options = LoadOptions::default();
    let (a, b) = (
        Asked::load(&options),
        Asked::load(&LoadOptions {
            context_tokens: 64,
            ..options
        }),
    );
    assert_eq!(a.differences(&b), "context_tokens is 64, recorded 8192");
    assert_ne!(a.digest(), b.digest());
    let heard = |features: Vec<f32>, max_mel| {
        let request = TranscribeRequest {
            model: SpeechModelId(1),
            features: features.into(),
            first: 0,
            end: 1,
            after: None,
        };
        let options = SpeechOptions {
            max_mel,
            ..SpeechOptions::default()
        };
        (Asked::transcribe(&request), Asked::load_speech(&options))
    };
    let (one, other) = (heard(vec![0.0; 128], 64), heard(vec![1.0; 128], 65));
    assert!(one.0.differences(&other.0).starts_with("sound is 128 values, "));
    assert_eq!(one.1.differences(&other.1), "max_mel is 65, recorded 64");
    let bytes = asked_to_bytes("e", 1, Timestamp::default(), &a);
    assert_eq!(asked_from_bytes(&bytes).unwrap().3, a);
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_refused(kind in 0u8..14, bytes: Vec<u8>) {
        let _ = asked_from_bytes(&bytes);
        let mut all = vec![0, 0, 0, kind];
        all.extend(bytes);
        let _ = reply_from_bytes(&all);
    }
}
