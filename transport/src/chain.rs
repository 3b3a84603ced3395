//! An error with its causes, as one line.

use std::error::Error;

/// `error: cause: cause`. A cause that the text before already ends with is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot save")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_follow_their_error() {
        assert_eq!(chain(&Outer(io::Error::other("no space"))), "cannot save: no space");
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = io::Error::other("no space");
        assert_eq!(chain(&io::Error::other(inner)), "no space");
    }
}
