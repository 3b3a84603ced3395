//! What it costs to write and read what travels: `cargo bench --bench parts`.

use std::process::ExitCode;

use bytes::Bytes;
use jackfield_parts::Part;
use jackfield_wire::registry::{Instance, MethodSummary};
use jackfield_wire::{
    AnswerHead, CallHead, Executed, FrameDecoder, FrameKind, FrameLimits, Generation, Load,
    ServiceName, Status, frame, from_cbor, to_cbor,
};

fn main() -> ExitCode {
    jackfield_parts::main(env!("CARGO_MANIFEST_DIR"), parts)
}

fn parts() -> Vec<Part> {
    let written = Bytes::from(request());
    let (call, answer) = (to_cbor(&call_head()), to_cbor(&answer_head()));
    let (instance, sent) = (instance(), to_cbor(&instance()));
    vec![
        Part::new("frames: a request, written", request),
        Part::new("frames: a request, read", move || read(&written)),
        Part::new("head of a call, written", || to_cbor(&call_head())),
        Part::new("head of a call, read", move || {
            from_cbor::<CallHead<'_>>(&call).map(|head| head.method.len())
        }),
        Part::new("head of an answer, written", || to_cbor(&answer_head())),
        Part::new("head of an answer, read", move || {
            from_cbor::<AnswerHead<'_>>(&answer).map(|head| head.status)
        }),
        Part::new("an instance, written", move || to_cbor(&instance)),
        Part::new("an instance, read", move || from_cbor::<Instance>(&sent)),
    ]
}

fn request() -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    frame::encode(FrameKind::Head, &to_cbor(&call_head()), &mut out);
    frame::encode(FrameKind::Positional, ARGUMENTS, &mut out);
    out
}

fn read(bytes: &Bytes) -> usize {
    let mut decoder = FrameDecoder::new(FrameLimits::default());
    decoder.push(bytes.clone());
    let mut payload = 0;
    while let Ok(Some(frame)) = decoder.next_frame() {
        payload += frame.payload.len();
    }
    payload
}

fn call_head() -> CallHead<'static> {
    CallHead {
        service: "greeter",
        method: "greet",
        deadline_ms: Some(30_000),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        key: None,
        idempotent: false,
        hops: 0,
    }
}

fn answer_head() -> AnswerHead<'static> {
    AnswerHead {
        status: Status::Ok,
        executed: Executed::Yes,
        message: None,
        generation: Some(Generation::of_digest([7; 32])),
        load: Some(Load { in_flight: 64, queued: 0 }),
        retry_after_ms: None,
        draining: false,
    }
}

fn instance() -> Instance {
    let service = ServiceName::new("greeter").expect("a name");
    let method = |name: &str| MethodSummary { name: name.into(), wit: format!("{name}: func()") };
    let methods = ["greet", "greet-all", "add", "language"].map(method).into();
    Instance { methods, ..Instance::new(service, "host-1", "192.0.2.1:4433") }
}

const ARGUMENTS: &[u8] = br#"["a name of some length, for a message of ~100 bytes"]"#;
