//! What exchanges carry, and how they end.

use crate::harness::{Machine, With, ask, echo, soon};

#[tokio::test]
async fn frames_come_back_over_ipv4() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ask(&connection, b"hello")).await, b"hello");
}
