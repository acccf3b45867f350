//! Where in its text a part of a filter stands: the parser's tree does not say, and a caller wants to know.
//!
//! A [`Cursor`] is led over the text by somebody who walks the tree of that text in order. It never fails: out of step,
//! it would only point to a wrong place.

/// A place in the text of a filter that has been parsed.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Goes past the `NOT` or `-` of the next term.
    pub(super) fn past_negation(&mut self) {
        self.past_connectives();
        if !self.past_word("NOT") && self.rest().starts_with('-') {
            self.at += 1;
        }
    }

    /// Goes past the field, value or function name that begins the next term; returns where it began.
    pub(super) fn past_term(&mut self) -> usize {
        self.past_connectives();
        self.past_member()
    }

    /// Goes past an operator and its value; returns where the value began.
    pub(super) fn past_value(&mut self) -> usize {
        self.past_while(|character| character.is_whitespace() || matches!(character, '=' | '!' | '<' | '>' | ':'));
        let start = self.at;
        if !self.past_group() {
            self.past_member();
            self.past_group();
        }
        start
    }

    /// Goes past parentheses and what is in them, if they begin here.
    pub(super) fn past_group(&mut self) -> bool {
        let rest = self.rest();
        if !rest.starts_with('(') {
            return false;
        }
        let mut depth = 0_usize;
        let length = outside_quotes(rest).find_map(|(at, character)| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at + 1)
        });
        self.at += length.unwrap_or(rest.len());
        true
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn past_while(&mut self, belongs: impl Fn(char) -> bool) {
        self.at = self.text.len() - self.rest().trim_start_matches(belongs).len();
    }

    /// Goes past a whole word that white space follows.
    fn past_word(&mut self, word: &str) -> bool {
        let found = self.rest().strip_prefix(word).is_some_and(|after| after.starts_with(char::is_whitespace));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Goes past what stands between terms.
    fn past_connectives(&mut self) {
        loop {
            self.past_while(|character| character.is_whitespace() || matches!(character, '(' | ')'));
            if !self.past_word("AND") && !self.past_word("OR") {
                return;
            }
        }
    }

    fn past_member(&mut self) -> usize {
        let start = self.at;
        loop {
            self.past_segment();
            if !self.rest().starts_with('.') {
                return start;
            }
            self.at += 1;
        }
    }

    fn past_segment(&mut self) {
        let rest = self.rest();
        if rest.starts_with(['"', '\'']) {
            let inside = quoted(rest).skip(1).find(|(_, is_inside)| !is_inside);
            self.at += inside.map_or(rest.len(), |(at, _)| at + 1);
            return;
        }
        let ends = |character: char| {
            character.is_whitespace()
                || matches!(character, '.' | '(' | ')' | ',' | '"' | '\'' | '=' | '<' | '>' | '!' | ':')
        };
        self.past_while(|character| !ends(character));
    }
}

/// The characters of a filter that no quotes enclose, each with its place.
pub(super) fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    quoted(text).filter(|(_, inside)| !inside).filter_map(|(at, _)| Some((at, text[at..].chars().next()?)))
}

/// The place of every character, and whether quotes enclose it. An opening quote is inside, a closing one is not.
fn quoted(text: &str) -> impl Iterator<Item = (usize, bool)> {
    let mut open = None;
    let mut is_escaped = false;
    text.char_indices().map(move |(at, character)| {
        match open {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if character == '\\' => is_escaped = true,
            Some(quote) if character == quote => open = None,
            Some(_) => {}
            None if matches!(character, '"' | '\'') => open = Some(character),
            None => {}
        }
        (at, open.is_some())
    })
}
