//! The plugin host of Jackfield
