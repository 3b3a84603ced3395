//! The files of the console, and the headers that keep anything else out of its page.

use http::header::{CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY};
use http::{HeaderName, HeaderValue, StatusCode};
use jackfield_wire::Status;

use crate::problem::Problem;
use crate::reply::{self, Reply};

/// The file `/console/{first}/{second}`, or without a second.
///
/// # Errors
/// When there is none.
pub(crate) fn asset(first: &str, second: Option<&str>) -> Result<Reply, Problem> {
    let path = match second {
        None if first.is_empty() => INDEX.to_owned(),
        None => first.to_owned(),
        Some(second) => format!("{first}/{second}"),
    };
    let Some((_, bytes)) = ASSETS.iter().find(|(name, _)| *name == path) else {
        let detail = format!("the console has no file {path:?}; its page is at /console/");
        return Err(Problem::new(Status::NotFound, detail));
    };
    let mut reply = reply::with(StatusCode::OK, media_type(&path), *bytes);
    let headers = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    reply.headers_mut().extend(headers);
    Ok(reply)
}

/// Leads to the console from where people begin.
pub(crate) fn enter() -> Reply {
    let mut reply = reply::with(StatusCode::SEE_OTHER, "", "");
    reply.headers_mut().insert(LOCATION, HeaderValue::from_static("/console/"));
    reply
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    }
}

const INDEX: &str = "index.html";

/// What the page may load and talk to is this gateway alone; no script within the page runs, no text
/// becomes markup, no form leaves it, and no other page shows it in a frame.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

macro_rules! assets {
    ($($name:literal)*) => {
        &[$(($name, include_bytes!(concat!("../../console/", $name)))),*]
    };
}

/// Every file of `gateway/console`.
static ASSETS: &[(&str, &[u8])] = assets![
    "index.html" "console.css" "icon.svg" "main.js" "live.js" "model.js" "ask.js" "arrange.js" "dom.js"
    "parts.js" "format.js" "chart.js" "form.js" "fields.js" "outcome.js" "orders.js"
    "pages/services.js" "pages/service.js" "pages/method.js" "pages/hosts.js" "pages/problems.js"
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }

    #[test]
    fn every_file_of_the_console_is_served_and_all_are_small() {
        let mut found = Vec::new();
        files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/console")), &mut found);
        assert_eq!(found.len(), ASSETS.len(), "{found:?}");
        for (name, bytes) in ASSETS {
            assert!(found.iter().any(|path| path.ends_with(&format!("/console/{name}"))), "{name}");
            let (first, second) = match name.split_once('/') {
                Some((folder, file)) => (folder, Some(file)),
                None => (*name, None),
            };
            assert!(!bytes.is_empty() && asset(first, second).is_ok(), "{name}");
        }
        let total: usize = ASSETS.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total < 200_000, "{total} bytes");
    }

    #[test]
    fn what_is_no_file_of_the_console_is_not_found() {
        for (first, second) in [
            ("..", Some("Cargo.toml")),
            ("main.js", Some("")),
            ("pages", None),
            ("INDEX.html", None),
        ] {
            assert!(asset(first, second).is_err(), "{first} {second:?}");
        }
    }

    #[test]
    fn nothing_in_the_page_is_made_of_text() {
        for (name, bytes) in ASSETS.iter().filter(|(name, _)| name.ends_with(".js")) {
            let text = std::str::from_utf8(bytes).unwrap();
            for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(way), "{name} has {way}");
            }
        }
    }
}
