//! Reading a line of challenges piece by piece.

/// What is left of the line. Every step either takes something or says that there is nothing to take.
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// The next token, passing over separators and anything that cannot begin one.
    pub(super) fn next_word(&mut self) -> Option<&'a str> {
        let start = self.rest.find(is_token_char)?;
        self.rest = self.rest.get(start..)?;
        Some(self.take_while(is_token_char))
    }

    /// Takes `=` with the blanks around it, which should not be there, if it comes next.
    pub(super) fn take_equals(&mut self) -> bool {
        let Some(behind) = self.rest.trim_start_matches(BLANK).strip_prefix('=') else {
            return false;
        };
        self.rest = behind.trim_start_matches(BLANK);
        true
    }

    /// A quoted string without its quotes and escapes, or everything up to the next comma or blank.
    pub(super) fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let bare = self.take_while(|c| c != ',' && !BLANK.contains(&c));
            return Some(bare.into());
        };
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next() {
                Some('"') => {
                    self.rest = chars.as_str();
                    return Some(value);
                }
                Some('\\') => value.extend(chars.next()),
                Some(c) => value.push(c),
                None => {
                    self.rest = "";
                    return None;
                }
            }
        }
    }

    /// `token68` (RFC 9110 section 11.2): it stands alone between the scheme and the next comma.
    pub(super) fn token68(&mut self) -> Option<&'a str> {
        let text = self.rest.strip_prefix(BLANK)?.trim_start_matches(BLANK);
        let padding = text.trim_start_matches(is_token68_char);
        let behind = padding.trim_start_matches('=');
        let rest = behind.trim_start_matches(BLANK);
        if padding.len() == text.len() || !(rest.is_empty() || rest.starts_with(',')) {
            return None;
        }
        self.rest = rest;
        text.get(..text.len() - behind.len())
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// Blanks between parts (RFC 9110 section 5.6.3).
const BLANK: [char; 2] = [' ', '\t'];

/// RFC 9110 section 5.6.2, `tchar`.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_token68_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/".contains(c)
}
