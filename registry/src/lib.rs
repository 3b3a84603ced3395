//! The registry of Jackfield: leases, lists and watches
