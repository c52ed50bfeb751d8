//! Words and sentences against what the voices were trained on.

use super::*;

fn phonemizer() -> &'static Phonemizer {
    Phonemizer::get().unwrap()
}

fn said(text: &str) -> String {
    line(&phonemizer().phonemize(text, Dialect::default()))
}

fn all_said(cases: &[(&str, &str)], dialect: Dialect) {
    let found = |text: &str| line(&phonemizer().phonemize(text, dialect));
    let failed: Vec<String> = cases
        .iter()
        .filter(|(text, expected)| found(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  expected {expected}\n  found    {}", found(text)))
        .collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn sentences_sound_as_the_voices_learnt_them() {
    let cases = [
        (
            "The quick brown fox jumps over the lazy dog.",
            "ðə kwˈɪk bɹˈaʊn fˈɑːks dʒˈʌmps ˌoʊvɚ ðə lˈeɪzi dˈɑːɡ.",
        ),
        (
            "Nothing has changed in the last few minutes.",
            "nˈʌθɪŋ hɐz tʃˈeɪndʒd ɪnðə lˈæst fjˈuː mˈɪnɪts.",
        ),
        (
            "Do you want to save the changes before closing?",
            "dˈuː juː wˈɔnt tə sˈeɪv ðə tʃˈeɪndʒᵻz bᵻfˌoːɹ klˈoʊzɪŋ?",
        ),
        (
            "I read the book yesterday, and I will read it again.",
            "aɪ ɹˈiːd ðə bˈʊk jˈɛstɚdˌeɪ, ænd aɪ wɪl ɹˈiːd ɪɾ ɐɡˈɛn.",
        ),
        ("Options: yes; no; cancel.", "ˈɑːpʃənz: jˈɛs; nˈoʊ; kˈænsəl."),
        (
            "The GPU driver failed to load, so the API broke.",
            "ðə dʒˌiːpˌiːjˈuː dɹˈaɪvɚ fˈeɪld tə lˈoʊd, sˌoʊ ðɪ ˌeɪpˌiːˈaɪ bɹˈoʊk.",
        ),
    ];
    all_said(&cases, Dialect::default());
}

#[test]
fn words_change_with_what_follows() {
    let cases = [
        ("The end of the day.", "ðɪ ˈɛnd ʌvðə dˈeɪ."),
        ("A cat of an owner.", "ɐ kˈæt əvən ˈoʊnɚ."),
        (
            "It is to open, or to close. I want to.",
            "ɪɾ ɪz tʊ ˈoʊpən, ɔːɹ tə klˈoʊs. aɪ wˈɔnt tuː.",
        ),
        ("The error is here.", "ðɪ ˈɛɹɚɹ ɪz hˈɪɹ."),
        ("www, the URLs", "dˌʌbəljˌuːdˌʌbəljˌuːdˈʌbəljˌuː, ðə jˌuːˌɑːɹɹˈɛlz"),
    ];
    all_said(&cases, Dialect::default());
}

#[test]
fn the_newer_dialect_glides() {
    let cases = [
        ("e-mail me at home", "ˈiːmeɪl mˌiːʲ æt hˈoʊm"),
        ("ninety eight API", "nˈaɪntiʲ ˈeɪt ˌeɪpˌiːʲˈaɪ"),
        ("before the end", "bᵻfˌɔːɹ ðɪʲ ˈɛnd"),
    ];
    all_said(&cases, Dialect::Espeak152);
}

#[test]
fn words_that_are_in_no_list_are_built_or_read() {
    let cases = [
        ("tokenizers", "tˈoʊkənˌaɪzɚz"),
        ("screenshots", "skɹˈiːnʃɑːts"),
        ("unfollowed", "ʌnfˈɑːloʊd"),
        ("Żaneta", "zˈænɛɾə"),
        ("grepped", "ɡɹˈɛpt"),
        ("retweeted", "ɹiːtwˈiːɾᵻd"),
    ];
    all_said(&cases, Dialect::default());
    for word in ["blorptastic", "kwyjibo", "frobnicate", "zyzzyva"] {
        assert_eq!(said(word).matches('ˈ').count(), 1, "{word}: {}", said(word));
    }
}

#[test]
fn words_keep_their_places() {
    let text = "It costs $5 in all.";
    let clauses = phonemizer().phonemize(text, Dialect::default());
    let symbols: Vec<char> = clauses[0].phonemes.chars().collect();
    let found: Vec<(&str, &str, String)> = clauses[0]
        .words
        .iter()
        .map(|word| {
            (
                word.word.as_str(),
                &text[word.range.clone()],
                symbols[word.phonemes.clone()].iter().collect(),
            )
        })
        .collect();
    let said = |word: &str, text: &'static str, phonemes: &str| (word.to_owned(), text, phonemes.to_owned());
    let expected = [
        said("It", "It", "ɪt"),
        said("costs", "costs", "kˈɔsts"),
        said("five", "$5", "fˈaɪv"),
        said("dollars", "$5", "dˈɑːlɚz"),
        said("in", "in", "ɪn"),
        said("all", "all.", "ˈɔːl"),
    ];
    let found: Vec<_> = found
        .into_iter()
        .map(|(word, text, phonemes)| (word.to_owned(), text, phonemes))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn nothing_to_say_gives_no_clause() {
    for text in ["", "  ", "?!", "Привет", "🫠"] {
        assert_eq!(phonemizer().phonemize(text, Dialect::default()), [], "{text}");
    }
}

#[test]
fn a_long_text_and_a_long_word_are_read() {
    let clauses = phonemizer().phonemize(&"every word ".repeat(9_000), Dialect::default());
    assert_eq!(clauses.iter().map(|clause| clause.words.len()).sum::<usize>(), 18_000);
    assert!(said(&"ab".repeat(50_000)).len() > 50_000);
}

proptest::proptest! {
    #[test]
    fn every_symbol_has_an_id_in_the_voices(text in "[ -~éßłæ]{0,40}") {
        const KNOWN: &str = " !',-.:;?abcdefhijklmnopqrstuvwxzæçðøħŋœǀɐɑɒɓɔɕɖɗɘəɚɛɜɞɟɡɢɣɤɥɦɧɨɪɫɬɭɮɯɰɱɲɳɴɵɶɸɹɺɻɽɾʀʁʂʃʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʛʜʝʟʡʢʲˈˌːˑ˞βθχᵻⱱ\u{329}\u{303}";
        let said = said(&text);
        let strange: Vec<char> = said.chars().filter(|c| !KNOWN.contains(*c)).collect();
        proptest::prop_assert!(strange.is_empty(), "{strange:?} in {said}");
    }
}
