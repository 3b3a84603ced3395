//! QUIC and TLS for every role of Jackfield
