//! The client library of Jackfield
