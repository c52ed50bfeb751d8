//! The logic of choosing, without an engine; with one: `tests/system/choose.rs`.

use super::*;

fn adapter() -> Adapter {
    crate::weights::fixture::FakeEngine::new(1 << 27).adapter().clone()
}

#[test]
fn a_choice_is_read_back_as_it_was_written_and_another_adapters_is_none() {
    let adapter = Adapter {
        software: false,
        subgroups: Some((32, 32)),
        ..adapter()
    };
    let choice = Choice::promised(&adapter);
    let json = choice.to_json().expect("has a form");
    let read = Choice::from_json(&json).expect("is a choice");
    assert_eq!(read, choice);
    assert_eq!(read.variants(&adapter), Some(Variants::of(&adapter)));
    let without = Adapter {
        subgroups: None,
        ..adapter.clone()
    };
    assert_eq!(read.variants(&without), None, "there are no subgroups");
    for text in ["", "{}", "{\"names\": [[\"vector\", 3]]}"] {
        assert!(Choice::from_json(text).is_none_or(|choice| choice.variants(&adapter).is_none()));
    }
}

#[test]
fn another_driver_or_adapter_is_another_key() {
    let adapter = adapter();
    let other = Adapter {
        driver: "another".into(),
        ..adapter.clone()
    };
    assert_eq!(key(&adapter), key(&adapter.clone()));
    assert_ne!(key(&adapter), key(&other));
}

#[test]
fn each_role_is_named_and_taken_alone() {
    let adapter = Adapter {
        software: false,
        subgroups: Some((32, 32)),
        ..adapter()
    };
    let (plain, promised) = (Variants::plain(&adapter), Variants::of(&adapter));
    let mut all = plain.clone();
    for role in Role::ALL {
        let taken = role.taken(&plain, &promised);
        assert_eq!(role.of(&taken), role.of(&promised));
        let others = Role::ALL.into_iter().filter(|other| *other != role);
        others.for_each(|other| assert_eq!(other.of(&taken), other.of(&plain), "{role:?}"));
        all = role.taken(&all, &promised);
        assert!(role.candidates(&adapter, &plain).contains(&taken));
    }
    assert_eq!(all, promised, "every field is a role's");
}
