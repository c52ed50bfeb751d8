//! The profiles that travel with the program, by name.

use std::sync::OnceLock;

use gpu::engine::Adapter;

use super::profile::{Kind, Profile};

/// Keys and files, from small to large.
const FILES: [(&str, &str); 10] = [
    ("lavapipe", include_str!("../../profiles/lavapipe.toml")),
    ("adreno-740", include_str!("../../profiles/adreno-740.toml")),
    ("iris-xe", include_str!("../../profiles/iris-xe.toml")),
    ("apple-m1", include_str!("../../profiles/apple-m1.toml")),
    ("apple-m3", include_str!("../../profiles/apple-m3.toml")),
    ("rtx-3060", include_str!("../../profiles/rtx-3060.toml")),
    ("rtx-4070", include_str!("../../profiles/rtx-4070.toml")),
    ("rtx-4090", include_str!("../../profiles/rtx-4090.toml")),
    ("h100", include_str!("../../profiles/h100.toml")),
    ("h200", include_str!("../../profiles/h200.toml")),
];

/// All of them, from small to large.
///
/// # Panics
/// Never in a program that passed its tests: the files are the program's own.
pub fn profiles() -> &'static [Profile] {
    static PROFILES: OnceLock<Vec<Profile>> = OnceLock::new();
    PROFILES.get_or_init(|| {
        let read = |(key, text): (&str, &str)| {
            let mut profile = Profile::from_toml(text).unwrap_or_else(|error| panic!("profiles/{key}.toml: {error}"));
            profile.key = key.to_owned();
            profile
        };
        FILES.map(read).into()
    })
}

/// The profile of this key, in any case.
pub fn find(key: &str) -> Option<&'static Profile> {
    profiles().iter().find(|profile| profile.key.eq_ignore_ascii_case(key.trim()))
}

/// The profile of a real adapter, with its limits: that of its name, or of something like it; `true` if it is by name.
pub fn of_adapter(adapter: &Adapter) -> (Profile, bool) {
    let name = adapter.name.to_lowercase();
    let named = |profile: &&Profile| name.contains(&profile.matches.to_lowercase());
    let by_name = profiles().iter().find(named);
    let like = match (adapter.software, adapter.backend.as_str()) {
        (true, _) => Kind::Software,
        (false, "metal") => Kind::Integrated,
        (false, _) => Kind::Discrete,
    };
    let chosen = by_name.or_else(|| profiles().iter().find(|profile| profile.kind == like));
    let profile = chosen.unwrap_or(&profiles()[0]).clone();
    (profile.with_adapter(adapter), by_name.is_some())
}

/// The words of `known` that `word` is most like, the nearest first: at most three, none that is far.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|name| (distance(&word, &name.to_lowercase()), name))
        .filter(|&(distance, name)| distance <= name.len().max(word.len()) / 2)
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Letters to insert, delete or replace (Levenshtein); nothing if one contains the other.
fn distance(a: &str, b: &str) -> usize {
    if !a.is_empty() && (b.contains(a) || a.contains(b)) {
        return 0;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_profile_is_whole_and_found_by_its_name() {
        assert_eq!(profiles().len(), FILES.len());
        for profile in profiles() {
            assert_eq!(
                find(&profile.key.to_uppercase()).map(|found| &found.name),
                Some(&profile.name)
            );
            assert!(
                profile.cache.bandwidth_gb_s > profile.memory.bandwidth_gb_s,
                "{}",
                profile.key
            );
            assert!(profile.cache.latency_ns < profile.memory.latency_ns, "{}", profile.key);
            assert!(
                profile.rates.f16 >= profile.rates.f32 || profile.kind == Kind::Software,
                "{}",
                profile.key
            );
        }
        assert_eq!(find("rtx-9090"), None);
    }

    #[test]
    fn a_real_adapter_gets_the_profile_of_its_name_or_one_like_it() {
        let mut adapter = Adapter::plain("NVIDIA GeForce RTX 4090");
        let key = |adapter: &Adapter| {
            let (profile, by_name) = of_adapter(adapter);
            (profile.key, by_name)
        };
        assert_eq!(key(&adapter), ("rtx-4090".to_owned(), true));
        adapter.name = "Apple M1 Pro".into();
        assert_eq!(key(&adapter), ("apple-m1".to_owned(), true));
        adapter.name = "Apple M4".into();
        assert_eq!(key(&adapter), ("apple-m3".to_owned(), true));
        adapter.name = "Mystery".into();
        assert_eq!(key(&adapter), ("rtx-3060".to_owned(), false));
        adapter.software = true;
        assert_eq!(key(&adapter), ("lavapipe".to_owned(), false));
    }

    #[test]
    fn unknown_words_have_near_ones() {
        let keys: Vec<&str> = profiles().iter().map(|profile| profile.key.as_str()).collect();
        assert_eq!(nearest("4090", keys.iter().copied()), ["rtx-4090"]);
        assert_eq!(nearest("rtx4070", keys.iter().copied())[0], "rtx-4070");
        assert_eq!(nearest("H-100", keys.iter().copied())[0], "h100");
        assert!(nearest("quantum", keys.iter().copied()).is_empty());
        assert!(nearest("", keys).is_empty());
    }
}
