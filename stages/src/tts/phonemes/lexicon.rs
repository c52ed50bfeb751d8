//! `lexicon.bin`: how words are said, and trees that read those that are not in it. Made by `models/en-us/train.py`.
//!
//! Compressed (zlib); numbers are little-endian, a text is its length (u8) and its bytes:
//!
//! ```text
//! "QWGLEX1\0", u8 symbols, each a text; u32 words, each: u8 letters shared with the word before, u8 more letters and they,
//! u8 symbols and their numbers; u16 labels, each a text; 26 trees: u32 nodes, each u16
//! ```
//!
//! A tree is in preorder: a node is a question, followed by the subtrees for no and yes, or with the highest bit set a label.

use gpu::weights::source::inflated;

use crate::error::{Error, Result};

const MAGIC: &[u8] = b"QWGLEX1\0";
/// More than any file of ours unpacks to.
const MAX_BYTES: usize = 32 << 20;
const LEAF: u16 = 0x8000;
const N_LETTERS: usize = 26;

/// Words and trees.
pub struct Lexicon {
    symbols: Vec<String>,
    letters: String,
    /// By word, in order: where its letters start in `letters` and its symbols in `said`.
    starts: Vec<(u32, u32)>,
    said: Vec<u8>,
    labels: Vec<String>,
    trees: Vec<Vec<Node>>,
}

/// A question with the place of the answer yes (no is the next node), or a label.
#[derive(Clone, Copy)]
enum Node {
    Question { feature: u16, yes: u32 },
    Label(u16),
}

impl Lexicon {
    /// Unpacks a file.
    ///
    /// Errors: [`Error::Lexicon`].
    pub fn read(file: &[u8]) -> Result<Self> {
        let bytes = inflated(file, MAX_BYTES).map_err(|_| Error::Lexicon { what: "compression" })?;
        let mut at = Cursor(&bytes);
        Self::unpacked(&mut at).ok_or(Error::Lexicon { what: "layout" })
    }

    fn unpacked(at: &mut Cursor<'_>) -> Option<Self> {
        (at.bytes(MAGIC.len())? == MAGIC).then_some(())?;
        let n_symbols = at.u8()?;
        let symbols: Vec<String> = (0..n_symbols).map(|_| at.text()).collect::<Option<_>>()?;
        let n_words = at.u32()?;
        let mut lexicon = Self {
            symbols,
            letters: String::new(),
            starts: Vec::new(),
            said: Vec::new(),
            labels: Vec::new(),
            trees: Vec::new(),
        };
        let mut word: Vec<u8> = Vec::new();
        for _ in 0..n_words {
            let [shared, more] = [at.u8()?, at.u8()?];
            (usize::from(shared) <= word.len()).then_some(())?;
            word.truncate(shared.into());
            word.extend(at.bytes(more.into())?);
            let n_said = at.u8()?;
            let said = at.bytes(n_said.into())?;
            said.iter()
                .all(|symbol| usize::from(*symbol) < lexicon.symbols.len())
                .then_some(())?;
            lexicon.starts.push((
                u32::try_from(lexicon.letters.len()).ok()?,
                u32::try_from(lexicon.said.len()).ok()?,
            ));
            lexicon.letters.push_str(std::str::from_utf8(&word).ok()?);
            lexicon.said.extend(said);
        }
        let n_labels = at.u16()?;
        lexicon.labels = (0..n_labels).map(|_| at.text()).collect::<Option<_>>()?;
        lexicon.trees = (0..N_LETTERS).map(|_| tree(at, n_labels)).collect::<Option<_>>()?;
        Some(lexicon)
    }

    pub fn n_words(&self) -> usize {
        self.starts.len()
    }

    fn word(&self, index: usize) -> &str {
        let start = self.starts[index].0 as usize;
        let end = self.starts.get(index + 1).map_or(self.letters.len(), |next| next.0 as usize);
        &self.letters[start..end]
    }

    /// How a word in small letters is said.
    pub fn get(&self, word: &str) -> Option<String> {
        let (mut low, mut high) = (0, self.n_words());
        while low < high {
            let middle = low.midpoint(high);
            match self.word(middle).cmp(word) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let start = self.starts[middle].1 as usize;
                    let end = self.starts.get(middle + 1).map_or(self.said.len(), |next| next.1 as usize);
                    let symbols = self.said[start..end]
                        .iter()
                        .map(|symbol| self.symbols[usize::from(*symbol)].as_str());
                    return Some(symbols.collect());
                }
            }
        }
        None
    }

    /// Reads a word of small letters a–z; other characters are passed over.
    pub fn spell_out(&self, word: &str) -> String {
        let letters: Vec<usize> = word
            .bytes()
            .filter(u8::is_ascii_lowercase)
            .map(|b| usize::from(b - b'a'))
            .collect();
        let mut said: Vec<usize> = Vec::new();
        for (at, letter) in letters.iter().enumerate() {
            let context = Context::new(self, &letters, at, &said);
            said.push(self.answer(&self.trees[*letter], &context));
        }
        said.into_iter().map(|label| self.labels[label].as_str()).collect()
    }

    fn answer(&self, tree: &[Node], context: &Context) -> usize {
        let mut at = 0;
        loop {
            match tree[at] {
                Node::Label(label) => return label.into(),
                Node::Question { feature, yes } => at = if context.has(feature.into()) { yes as usize } else { at + 1 },
            }
        }
    }
}

/// One tree in preorder; a node lies always before its subtrees, so walking it ends.
fn tree(at: &mut Cursor<'_>, n_labels: u16) -> Option<Vec<Node>> {
    let n_nodes = at.u32()? as usize;
    let mut nodes: Vec<Node> = Vec::new();
    // Questions whose answer yes is still to come.
    let mut open: Vec<usize> = Vec::new();
    for index in 0..n_nodes {
        let value = at.u16()?;
        match value & LEAF {
            0 => {
                open.push(index);
                nodes.push(Node::Question { feature: value, yes: 0 });
            }
            _ => {
                let label = value & !LEAF;
                (label < n_labels).then_some(())?;
                nodes.push(Node::Label(label));
                // The subtree of the last open question's "no" ends here, or that of several "yes".
                if let Some(question) = open.pop()
                    && let Node::Question { yes, .. } = &mut nodes[question]
                {
                    *yes = u32::try_from(index + 1).ok()?;
                }
            }
        }
    }
    (open.is_empty() && matches!(nodes.last(), Some(Node::Label(_)))).then_some(nodes)
}

/// Letters beside the one that is read.
const BESIDE: [isize; 9] = [-4, -3, -2, -1, 1, 2, 3, 4, 5];
/// How far the counts are asked for.
const MAX_BEFORE: usize = 5;
const MAX_AFTER: usize = 4;

/// What a question may be about, in the order of `one_hot` in `train.py`.
struct Context {
    beside: [usize; 9],
    /// The labels of the last two letters.
    last: [usize; 2],
    n_labels: usize,
    is_stressed: bool,
    /// Vowels said so far, groups of vowels to come.
    counts: [usize; 2],
}

impl Context {
    fn new(lexicon: &Lexicon, letters: &[usize], at: usize, said: &[usize]) -> Self {
        let n_labels = lexicon.labels.len();
        let beside = BESIDE.map(|offset| {
            at.checked_add_signed(offset)
                .and_then(|at| letters.get(at))
                .copied()
                .unwrap_or(N_LETTERS)
        });
        let last = [1, 2].map(|back| said.len().checked_sub(back).map_or(n_labels, |at| said[at]));
        let labels = || said.iter().map(|label| lexicon.labels[*label].as_str());
        let vowels = letters[at + 1..].iter().map(|letter| is_vowel(*letter));
        let mut n_after = 0;
        let mut was_vowel = false;
        for is_vowel in vowels {
            n_after += usize::from(is_vowel && !was_vowel);
            was_vowel = is_vowel;
        }
        Self {
            beside,
            last,
            n_labels,
            is_stressed: labels().any(|label| label.contains('ˈ')),
            counts: [labels().filter(|label| label.contains(super::is_vowel)).count(), n_after],
        }
    }

    fn has(&self, feature: usize) -> bool {
        let per_letter = N_LETTERS + 1;
        let mut rest = feature;
        if rest < BESIDE.len() * per_letter {
            return self.beside[rest / per_letter] == rest % per_letter;
        }
        rest -= BESIDE.len() * per_letter;
        if rest < BESIDE.len() {
            return is_vowel(self.beside[rest]);
        }
        rest -= BESIDE.len();
        let per_label = self.n_labels + 1;
        if rest < 2 * per_label {
            return self.last[rest / per_label] == rest % per_label;
        }
        rest -= 2 * per_label;
        match rest {
            0 => self.is_stressed,
            1..=MAX_BEFORE => self.counts[0] >= rest,
            _ => rest - MAX_BEFORE <= MAX_AFTER && self.counts[1] >= rest - MAX_BEFORE,
        }
    }
}

/// a, e, i, o, u, y by their numbers.
fn is_vowel(letter: usize) -> bool {
    matches!(letter, 0 | 4 | 8 | 14 | 20 | 24)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, n_bytes: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n_bytes)?;
        self.0 = tail;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.bytes(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(*self.bytes(2)?.first_chunk()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.bytes(4)?.first_chunk()?))
    }

    fn text(&mut self) -> Option<String> {
        let n_bytes = self.u8()?;
        String::from_utf8(self.bytes(n_bytes.into())?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataFile;

    #[test]
    fn the_lexicon_of_the_tree_reads_known_and_unknown_words() {
        let lexicon = Lexicon::read(DataFile::Lexicon.bytes()).unwrap();
        assert!(lexicon.n_words() > 120_000);
        let cases = [
            ("quick", "kwˈɪk"),
            ("minutes", "mˈɪnɪts"),
            ("water", "wˈɔːɾɚ"),
            ("returned", "ɹᵻtˈɜːnd"),
        ];
        for (word, said) in cases {
            assert_eq!(lexicon.get(word).as_deref(), Some(said));
        }
        assert_eq!(lexicon.get("zzzz"), None);
        assert_eq!(lexicon.spell_out("grep"), "ɡɹˈɛp");
        assert_eq!(lexicon.spell_out(""), "");
        assert!(!lexicon.spell_out(&"xqzw".repeat(1000)).is_empty());
    }

    #[test]
    fn cut_and_changed_files_are_errors() {
        let file = DataFile::Lexicon.bytes();
        assert!(Lexicon::read(&file[..file.len() / 2]).is_err());
        assert!(Lexicon::read(b"").is_err());
        let bytes = inflated(file, MAX_BYTES).unwrap();
        for length in [0, 7, 8, 200, bytes.len() - 1] {
            assert!(Lexicon::unpacked(&mut Cursor(&bytes[..length])).is_none(), "{length}");
        }
    }
}
