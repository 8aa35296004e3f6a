//! Messages, services and URNs of the Apache Beam protocols.
