//! Real processes, folders and waiting for the scenarios and the demo.
