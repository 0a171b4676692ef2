//! Server-sent events, as far as the API uses them (WHATWG HTML, "Server-sent events", section "Parsing").

use reqwest::Response;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty when the server named none.
    pub kind: String,
    /// Its id, for `Last-Event-ID`.
    pub id: Option<String>,
    /// Its data; several `data` lines are joined by line feeds.
    pub data: String,
}

/// Reads the events of an answer.
#[derive(Debug)]
pub struct EventReader {
    answer: Response,
    parser: EventParser,
}

impl EventReader {
    /// Reads the events of `answer`.
    #[must_use]
    pub fn new(answer: Response) -> Self {
        Self { answer, parser: EventParser::default() }
    }

    /// The next event; `None` at the stream's end, in order or not.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.parser.next() {
                return Some(event);
            }
            let chunk = self.answer.chunk().await.ok()??;
            self.parser.feed(&chunk);
        }
    }
}

/// Turns bytes, however they are cut, into events.
#[derive(Debug, Default)]
pub struct EventParser {
    bytes: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl EventParser {
    /// Takes more bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole event of what was fed so far.
    #[expect(clippy::should_implement_trait, reason = "more may come after a `None`: it is no iterator")]
    pub fn next(&mut self) -> Option<Event> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                // Events without data are not dispatched; comments keep the connection open.
                if std::mem::take(&mut self.has_data) {
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.kind),
                "id" => self.event.id = Some(value.to_owned()),
                "data" => {
                    if std::mem::replace(&mut self.has_data, true) {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `stream` whole and byte by byte; both must give `expected`.
    fn check(stream: &str, expected: &[(&str, Option<&str>, &str)]) {
        for size in [stream.len(), 1] {
            let mut parser = EventParser::default();
            let mut events = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                parser.feed(chunk);
                while let Some(Event { kind, id, data }) = parser.next() {
                    events.push((kind, id, data));
                }
            }
            let expected: Vec<_> = expected
                .iter()
                .map(|(kind, id, data)| ((*kind).to_owned(), id.map(str::to_owned), (*data).to_owned()))
                .collect();
            assert_eq!(events, expected, "{stream:?} in chunks of {size}");
        }
    }

    #[test]
    fn events() {
        check("event: progress\nid: 7\ndata: {}\n\n", &[("progress", Some("7"), "{}")]);
        check(": keep-alive\n\ndata: a\n\n", &[("", None, "a")]);
        check("data: a\r\ndata: b\r\n\r\ndata:c\n\n", &[("", None, "a\nb"), ("", None, "c")]);
        check("data: ä\n\n", &[("", None, "ä")]);
        check("event: nothing\n\ndata: cut", &[]);
    }
}
