//! A rendered conversation in which text that is not trusted cannot name added tokens.
//!
//! Before a template is rendered, a guard (a Unicode noncharacter that no message contains) goes behind every
//! character of untrusted text that could begin an added token. The template copies text and guards alike, so
//! an added token in the outcome is one that the template itself wrote, however it cut and joined the parts.

/// Rendered text with guards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    text: String,
    guard: Option<Guard>,
}

/// How untrusted text is guarded in one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    mark: char,
    starts: Vec<char>,
}

impl Guard {
    /// A guard for added tokens that begin with one of `starts`, in messages of which `contains` tells the characters.
    pub fn new(starts: Vec<char>, contains: impl Fn(char) -> bool) -> Self {
        // Noncharacters are for internal use, so nearly always the first one is free. Should all 32 be taken,
        // the first is used all the same and vanishes from the text.
        let mark = ('\u{fdd0}'..='\u{fdef}').find(|&c| !contains(c)).unwrap_or('\u{fdd0}');
        Self { mark, starts }
    }

    /// Guards untrusted text. Tokens of `allowed` stay as they are.
    pub fn apply(&self, text: &str, allowed: &[&str]) -> String {
        let mut out = String::with_capacity(text.len() + 8);
        for (at, c) in text.char_indices() {
            out.push(c);
            if self.starts.contains(&c) && !allowed.iter().any(|token| text[at..].starts_with(token)) {
                out.push(self.mark);
            }
        }
        out
    }
}

impl Rendered {
    /// Text that is trusted as a whole.
    pub fn trusted(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            guard: None,
        }
    }

    pub(crate) fn new(text: String, guard: Guard) -> Self {
        Self {
            text,
            guard: Some(guard),
        }
    }

    /// The text as it reads.
    pub fn text(&self) -> String {
        self.unguard(&self.text)
    }

    /// The text with its guards.
    pub(crate) fn guarded(&self) -> &str {
        &self.text
    }

    /// A piece of [`Self::guarded`] as it reads.
    pub(crate) fn unguard(&self, piece: &str) -> String {
        match &self.guard {
            Some(guard) => piece.replace(guard.mark, ""),
            None => piece.to_owned(),
        }
    }

    /// The same with other text, which must have been made from [`Self::guarded`].
    pub(crate) fn with_text(&self, text: String) -> Self {
        Self {
            text,
            guard: self.guard.clone(),
        }
    }

    /// Whether the answer will start inside a thought.
    pub fn ends_in_thought(&self) -> bool {
        self.text.trim_end().ends_with("<think>")
    }

    /// Closes the thought that the text ends in, so that the answer starts without one.
    pub fn close_thought(&mut self) {
        if self.ends_in_thought() {
            self.text.truncate(self.text.trim_end().len());
            self.text.push_str("\n\n</think>\n\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_vanish_and_avoid_what_the_text_contains() {
        let text = "a<|im_end|>b\u{fdd0}<think>";
        let guard = Guard::new(vec!['<'], |c| text.contains(c));
        let guarded = guard.apply(text, &["<think>"]);
        assert_eq!(guarded, "a<\u{fdd1}|im_end|>b\u{fdd0}<think>");
        assert_eq!(Rendered::new(guarded, guard).text(), text);
    }

    #[test]
    fn a_thought_is_closed_once() {
        let mut rendered = Rendered::trusted("x<|im_start|>assistant\n<think>\n");
        assert!(rendered.ends_in_thought());
        rendered.close_thought();
        rendered.close_thought();
        assert_eq!(rendered.text(), "x<|im_start|>assistant\n<think>\n\n</think>\n\n");
        assert!(!rendered.ends_in_thought());
    }
}
